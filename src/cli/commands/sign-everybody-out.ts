import type { Instance } from '../../session/instance.ts'
import type { SessionStore } from '../../stores/store.ts'
import { type Command, CommandError, confirmEnd, type Result } from '../command.ts'
import { toCommandError } from '../errors.ts'
import { callStore, pagesOf, withSessions } from '../load.ts'
import type { Terminal } from '../terminal.ts'
import { count, duration, sentence } from '../words.ts'

const AT_ONCE = 16

export const signEverybodyOut: Command = {
  name: 'sign-everybody-out',
  summary: 'Ends every session there is',
  options: ['config', 'store', 'yes'],
  details:
    'Goes through the store and ends what it finds, sessions without a user too. Where the store cannot be gone through, and for sessions in cookies, it says which option to set in its place. It needs no secret',
  examples: [
    ['npx sojourn sign-everybody-out --config sojourn.config.js', 'Asks, then ends them'],
    ['SESSION_STORE=redis://localhost npx sojourn sign-everybody-out --yes', 'In a script'],
  ],
  run: ({ terminal, values }) =>
    withSessions(values, { secret: false }, async ({ instance }) => {
      const { store } = instance.options
      if (!store?.page) throw cannotPage(instance)
      const what = `This ends every session in the store "${store.name}".`
      await confirmEnd(terminal, values, what)
      return endAll(instance, store, terminal)
    }),
}

/** Makes the error for sessions that cannot be gone through: the options that end them all the same. */
function cannotPage({ options: { now, store } }: Instance): CommandError {
  const notBefore = Math.floor(now())
  const why = store
    ? `The store "${store.name}" cannot be gone through`
    : 'No store is named, and sessions that live in cookies cannot be ended from here'
  return new CommandError(
    why,
    `Let "controls" of createSessions return { notBefore: ${notBefore} }, or set SESSION_NOT_BEFORE=${notBefore} where fromEnv makes the options: every session from before now is over. Without either, a new secret in place of all others does the same`,
    { notBefore },
  )
}

async function endAll(
  instance: Instance,
  store: SessionStore,
  terminal: Terminal,
): Promise<Result> {
  let ended = 0
  try {
    // The marker stays: without it health() would take the store for one that was emptied.
    for await (const { cursor, records } of pagesOf(instance, store)) {
      for (let at = 0; at < records.length; at += AT_ONCE) {
        const some = records.slice(at, at + AT_ONCE)
        const results = await Promise.all(
          some.map(({ id }) => callStore(instance, store, 'end', (call) => store.end(id, call))),
        )
        ended += results.filter(Boolean).length
      }
      if (cursor !== null) await terminal.note(`${count(ended, 'session')} ended so far.\n`)
    }
  } catch (error) {
    throw interrupted(error, ended)
  }
  const { maxAge = 0 } = instance.options.snapshot || {}
  const later = maxAge
    ? ` Cookies go on for up to ${duration(maxAge)}, the maxAge of "snapshot".`
    : ''
  return { text: `${count(ended, 'session')} ended.${later}\n`, json: { ended } }
}

function interrupted(error: unknown, ended: number): CommandError {
  const { advice, details, message } = toCommandError(error)
  return new CommandError(
    `After ${count(ended, 'session')} that ended: ${message}`,
    `${sentence(advice)} Run the command again: it goes on with those that are left`,
    { ...details, ended },
  )
}
