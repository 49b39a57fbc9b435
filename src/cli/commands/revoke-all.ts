import { type Command, CommandError, confirmEnd } from '../command.ts'
import { withSessions } from '../load.ts'
import { count } from '../words.ts'

export const revokeAll: Command = {
  name: 'revoke-all',
  summary: 'Ends all sessions of a user, or of a tag',
  argument: 'subject',
  options: ['config', 'store', 'tag', 'yes'],
  details:
    'Signs the user out everywhere. <subject> is what the application gave to session.login(), with --tag one of the tags; "-" reads it from standard input',
  examples: [
    ['npx sojourn revoke-all user-1 --config sojourn.config.js', 'Asks, then ends them'],
    ['npx sojourn revoke-all tenant:7 --tag', 'Every session of every user that has the tag'],
    [
      'npx sojourn revoke-all - --yes < user.txt',
      'In a script, and the name is in no list of processes',
    ],
  ],
  run: ({ argument, terminal, values }) =>
    withSessions(values, {}, async ({ instance, sessions }) => {
      const { now, revocations } = instance.options
      if (!instance.store) throw inCookies(now())
      const whose = values.tag ? 'that has the tag' : 'of the user'
      await confirmEnd(terminal, values, `This ends every session ${whose}.`)
      const ended = await (values.tag ? sessions.revokeBy(argument) : sessions.revokeAll(argument))
      if (!revocations) return { text: `${count(ended, 'session')} ended.\n`, json: { ended } }
      const text = `Every session ${whose} from before now has ended. They live in cookies, so nobody knows how many there were.\n`
      return { text, json: { ended: null } }
    }),
}

/** Makes the error for sessions that no store has: what to do in place of ending them. */
function inCookies(now: number): CommandError {
  const notBefore = Math.floor(now)
  return new CommandError(
    'No store is named, and sessions that live in cookies cannot be ended from here',
    `Let the option notBefore return ${notBefore} for this user: whoever signed in before now is signed out. With the option revocations: use --config. With a store: set SESSION_STORE, or use --config`,
    { notBefore },
  )
}
