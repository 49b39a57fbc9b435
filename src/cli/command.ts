/** The parts of a command of the command line, and the error with which it ends. */
import type { Terminal } from './terminal.ts'

/** Exit codes, documented in `docs/operations.md`. */
export const EXIT = { fine: 0, wrong: 1, usage: 2 } as const

/** Options by name; a command names those that it has. Those without a `value` are switches. */
export const OPTIONS = {
  config: {
    value: '<file>',
    text: 'A module that exports the sessions of the application, or their options',
  },
  store: {
    value: '<url>',
    text: 'The store: redis://, postgres://, mysql://, file:. With a password: SESSION_STORE',
  },
  show: {
    value: '<what>',
    text: 'Shows what is hidden otherwise: "subject", "id", or "subject,id"',
  },
  limit: { value: '<number>', text: 'Stops after so many sessions' },
  cookie: { value: '<name>', text: 'Name of the session cookie' },
  form: { text: 'Sends the form on standard input there (POST), as to sign in' },
  print: { text: 'Writes the statements' },
  check: { text: 'Says whether the tables are there' },
  apply: { text: 'Creates what is missing' },
  dialect: { value: '<name>', text: 'postgres, mysql or sqlite' },
  table: { value: '<name>', text: 'Name of the table: sojourn_sessions' },
  tag: { text: 'The argument is a tag, and no user' },
  yes: { text: 'Does not ask before sessions are ended, for scripts' },
  json: { text: 'Writes one JSON object' },
  help: { text: 'Shows this' },
} as const

export type OptionName = keyof typeof OPTIONS

/** Options as they were given. */
export type Values = {
  readonly [K in OptionName]?: (typeof OPTIONS)[K] extends { value: string } ? string : boolean
}

/** One run of a command. */
export interface Call {
  /** The argument; empty for commands that take none. */
  readonly argument: string
  readonly values: Values
  readonly terminal: Terminal
}

/** The outcome of a run. Neither form holds a secret, a cookie or session data. */
export interface Result {
  readonly text: string
  /** The members of the JSON object that `--json` writes, beside `ok`. */
  readonly json: object
  /** `false`: a sentence of the text says what is wrong; exit code 1. (default: `true`) */
  readonly ok?: boolean
}

export interface Command {
  readonly name: string
  /** One sentence for the list of commands. */
  readonly summary: string
  /** Name of the argument; left out where there is none. `-` reads a `subject` from standard input. */
  readonly argument?: string
  /** Options besides `json` and `help`, which every command has. */
  readonly options: readonly OptionName[]
  /** Sentences for its help. */
  readonly details: string
  readonly examples: readonly (readonly [line: string, meaning: string])[]
  run(call: Call): Promise<Result>
}

/** The end of a command that did not do what was asked. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError'
  /** One sentence that says what to do. */
  readonly advice: string
  readonly exitCode: number
  /** Members of the JSON object beside `error` and `advice`. */
  readonly details: object

  constructor(
    message: string,
    advice: string,
    details: object = {},
    exitCode: number = EXIT.wrong,
  ) {
    super(message)
    this.advice = advice
    this.details = details
    this.exitCode = exitCode
  }
}

/** Makes the error for a command line that is wrong: exit code 2. */
export function usageError(message: string, advice: string): CommandError {
  return new CommandError(message, advice, {}, EXIT.usage)
}

/**
 * Asks before sessions are ended, unless `--yes` has said so.
 *
 * @throws CommandError when the answer is no, or nobody can be asked.
 */
export async function confirmEnd(terminal: Terminal, { yes }: Values, what: string): Promise<void> {
  const answer = yes || (await terminal.confirm(what))
  if (answer) return
  if (answer === null) {
    throw usageError(
      'This signs people out, and there is no terminal to ask on',
      'In a script say so: --yes',
    )
  }
  throw new CommandError('Nothing was changed', 'The answer was not "yes"')
}
