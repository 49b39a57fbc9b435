import { type Command, CommandError, confirmEnd, usageError } from '../command.ts'
import { withSessions } from '../load.ts'

/** Ids as `list` shows them: 16 bytes. */
const ID = /^[\w-]{22}$/

export const revoke: Command = {
  name: 'revoke',
  summary: 'Ends one session',
  argument: 'id',
  options: ['config', 'store', 'yes'],
  details:
    'The id comes from list, or from explain --show id. Whoever uses the session is signed out',
  examples: [
    ['npx sojourn revoke 3q2-7wAAAAAAAAAAAAAAAA', 'Asks, then ends it'],
    ['npx sojourn revoke 3q2-7wAAAAAAAAAAAAAAAA --yes --json', 'In a script'],
  ],
  async run({ argument, terminal, values }) {
    if (!ID.test(argument)) {
      throw usageError(
        'This is no id of a session',
        'An id has 22 characters: npx sojourn list <subject>',
      )
    }
    return withSessions(values, { secret: false }, async ({ instance, sessions }) => {
      // Its refusal comes before anybody is asked.
      if (!instance.store) await sessions.revoke(argument)
      await confirmEnd(terminal, values, 'This ends the session, and signs its user out there.')
      if (await sessions.revoke(argument))
        return { text: 'The session has ended.\n', json: { ended: 1 } }
      throw new CommandError(
        'There is no live session with this id',
        'It has ended already, or it is in another store: npx sojourn list <subject>',
        { ended: 0 },
      )
    })
  },
}
