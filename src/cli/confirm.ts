/** Asks before sessions are ended. */
import { CommandError, usageError, type Values } from './command.ts'
import type { Terminal } from './terminal.ts'

/**
 * Asks whether to go on, unless `--yes` has said so.
 *
 * @throws CommandError when the answer is no, or nobody can be asked.
 */
export async function confirmEnd(terminal: Terminal, { yes }: Values, what: string): Promise<void> {
  if (yes) return
  const answer = await terminal.confirm(what)
  if (answer) return
  if (answer === null) {
    throw usageError(
      'This signs people out, and there is no terminal to ask on',
      'In a script say so: --yes',
    )
  }
  throw new CommandError('Nothing was changed', 'The answer was not "yes"')
}
