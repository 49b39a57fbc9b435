import { type Command, CommandError } from '../command.ts'
import { confirmEnd } from '../confirm.ts'
import { withSessions } from '../load.ts'
import { count } from '../words.ts'

/** Ends all sessions of a user. */
export const revokeAll: Command = {
  name: 'revoke-all',
  summary: 'Ends all sessions of a user',
  argument: 'subject',
  options: ['config', 'store', 'yes'],
  details:
    'Signs the user out everywhere. <subject> is what the application gave to session.login(); "-" reads it from standard input',
  examples: [
    ['npx sojourn revoke-all user-1 --config sojourn.config.js', 'Asks, then ends them'],
    [
      'npx sojourn revoke-all - --yes < user.txt',
      'In a script, and the name is in no list of processes',
    ],
  ],
  run: ({ argument, terminal, values }) =>
    withSessions(values, {}, async ({ instance, sessions }) => {
      if (!instance.options.store) throw inCookies(instance.options.now())
      await confirmEnd(terminal, values, 'This ends every session of the user.')
      const ended = await sessions.revokeAll(argument)
      return { text: `${count(ended, 'session')} ended.\n`, json: { ended } }
    }),
}

/** Makes the error for sessions that no store has: what to do in place of ending them. */
function inCookies(now: number): CommandError {
  const notBefore = Math.floor(now)
  return new CommandError(
    'No store is named, and sessions that live in cookies cannot be ended from here',
    `Let the option notBefore return ${notBefore} for this user: whoever signed in before now is signed out. With a store: set SESSION_STORE, or use --config`,
    undefined,
    { notBefore },
  )
}
