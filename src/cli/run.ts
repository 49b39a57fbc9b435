/** Runs one command line: finds the command, prints its outcome, and returns the exit code. */
import { readFile } from 'node:fs/promises'
import { parseCommand, refuseSecret } from './arguments.ts'
import { type Command, type CommandError, EXIT, type Result, usageError } from './command.ts'
import { COMMANDS } from './commands/index.ts'
import { toCommandError } from './errors.ts'
import { helpOf, overview } from './help.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { jsonLine, sentence } from './words.ts'

/** Runs `args` (without the program's own name) and returns the exit code. Never rejects. */
export async function run(args: readonly string[]): Promise<number> {
  const terminal = createTerminal()
  const isJson = args.includes('--json')
  try {
    const { json, ok = true, text } = await runCommand(args, terminal)
    await terminal.write(isJson ? jsonLine({ ok, ...json }) : text)
    return ok ? EXIT.fine : EXIT.wrong
  } catch (error) {
    const failure = toCommandError(error)
    await print(terminal, failure, isJson)
    return failure.exitCode
  }
}

async function runCommand(args: readonly string[], terminal: Terminal): Promise<Result> {
  const [name = '', ...rest] = args
  if (name === '--version' || name === '-v') {
    // It lies two folders above this one in `src` and in `dist`.
    const file = new URL('../../package.json', import.meta.url)
    const { version } = JSON.parse(await readFile(file, 'utf8')) as { version: string }
    return { text: `${version}\n`, json: { version } }
  }
  if (!name || name === '--help' || name === '-h' || name === 'help') return help(rest, terminal)
  const command = find(name)
  const { argument, values } = parseCommand(command, rest)
  if (values.help) return helpOf(command, terminal)
  const isRead = argument === '-' && command.argument === 'subject'
  const given = isRead ? await terminal.read('the name of the user') : argument
  return command.run({ argument: given, values, terminal })
}

function help([name]: readonly string[], terminal: Terminal): Result {
  return name === undefined || name.startsWith('-')
    ? overview(COMMANDS, terminal)
    : helpOf(find(name), terminal)
}

function find(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name)
  if (command) return command
  refuseSecret(name)
  throw usageError('There is no such command', 'npx sojourn help lists them')
}

async function print(terminal: Terminal, failure: CommandError, isJson: boolean): Promise<void> {
  const { advice, details, message } = failure
  if (isJson) {
    await terminal.write(jsonLine({ ok: false, error: message, advice, ...details }))
    return
  }
  await terminal.note(`${sentence(message)}\n${sentence(advice)}\n`)
}
