/** Command lines: what was asked for, and what may not stand there. */
import { parseArgs } from 'node:util'
import { isToken } from '../check.ts'
import {
  type Command,
  type CommandError,
  OPTIONS,
  type OptionName,
  usageError,
  type Values,
} from './command.ts'

/** A command line as it was understood. */
export interface Parsed {
  readonly argument: string
  readonly values: Values
}

/** Random text of at least 32 bytes, as secrets, cookies and most tokens have; no id or UUID is as long. */
const LONG_RANDOM = /[\w+/~%-]{43,}/
/** The beginnings of headers, and of cookies of other libraries. */
const COOKIE_LIKE = /^(set-)?cookie:|^(Fe26\.|s%3A|s:.+\.|eyJ)|^[\w.-]+=.{20,}/i
const SECRET_OPTION = /^--?(secret|cookie-?value|token|password|pass|key|auth|session)/i

const SECRET_ADVICE =
  'Arguments can be read by every process of the machine, and the shell saves them. Put secrets into the environment (SESSION_SECRET), and cookies on standard input'

/**
 * Parses what follows the name of a command. No message repeats what was typed, since it may be a secret.
 *
 * @throws CommandError with exit code 2.
 */
export function parseCommand(command: Command, args: readonly string[]): Parsed {
  const names: OptionName[] = [...command.options, 'json', 'help']
  const typeOf = (name: OptionName) => ('value' in OPTIONS[name] ? 'string' : 'boolean')
  const options = Object.fromEntries(names.map((name) => [name, { type: typeOf(name) } as const]))
  const help = `npx sojourn help ${command.name}`
  let parsed: { values: Values; positionals: string[] }
  try {
    parsed = parseArgs({ args: ordered(command, args), options, allowPositionals: true })
  } catch (error) {
    throw whyNot(command, args, String(Object(error).code), help)
  }
  const { positionals, values } = parsed
  const [argument = ''] = positionals
  const { cookie = '', show = '' } = values
  for (const text of [...positionals, cookie, show]) if (!isUrl(text)) refuseSecret(text)
  if (values.help) return { argument, values }
  const expected = command.argument ? 1 : 0
  if (positionals.length > expected) {
    throw usageError(
      `"${command.name}" takes ${expected ? `one argument, <${command.argument}>` : 'no argument'}`,
      `See: ${help}`,
    )
  }
  if (positionals.length < expected) {
    throw usageError(`"${command.name}" needs <${command.argument}>`, `See: ${help}`)
  }
  return { argument, values }
}

/** Puts an id that begins with a dash, as one in 32 does, where it is taken for no option. */
function ordered({ argument }: Command, args: readonly string[]): string[] {
  const ids = argument === 'id' ? args.filter((text) => /^-[\w-]{21}$/.test(text)) : []
  if (!ids.length) return [...args]
  return [...args.filter((text) => !ids.includes(text)), '--', ...ids]
}

/** Makes the error for what `parseArgs` refused, without its words: they quote. */
function whyNot(
  command: Command,
  args: readonly string[],
  code: string,
  help: string,
): CommandError {
  for (const text of args) {
    // One that begins with a dash is taken for an option.
    refuseSecret(LONG_RANDOM.test(text) ? text : text.replace(/^--?[\w-]*=?/, ''))
  }
  const known = new Set<string>([...command.options, 'json', 'help'])
  const given = args
    .filter((text) => text.startsWith('-') && text !== '-')
    .map((text) => text.split('=', 1)[0]!)
  const unknown = given.find(
    (name) => !known.has(name.replace(/^--/, '')) || !name.startsWith('--'),
  )
  if (given.some((name) => SECRET_OPTION.test(name) && !known.has(name.slice(2)))) {
    return usageError('There is no option for secrets and cookies', SECRET_ADVICE)
  }
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const name = unknown && /^--?[a-z-]{1,20}$/i.test(unknown) ? ` ${unknown}` : ''
    return usageError(`"${command.name}" has no option${name}`, `See: ${help}`)
  }
  return usageError(`An option of "${command.name}" has no value, or one too many`, `See: ${help}`)
}

/** Throws when a text looks like a secret or a cookie. */
export function refuseSecret(text: string): void {
  if (!LONG_RANDOM.test(text) && !COOKIE_LIKE.test(text)) return
  throw usageError(
    'An argument looks like a secret or a cookie',
    `${SECRET_ADVICE}. If it is a user's name, put "-" in its place and the name on standard input`,
  )
}

const isUrl = (text: string): boolean => /^[a-z]+:\/\//i.test(text)

/**
 * Checks `--cookie`.
 *
 * @throws CommandError with exit code 2 for what is no name.
 */
export function assertCookieName({ cookie }: Values): void {
  if (cookie === undefined || isToken(cookie)) return
  throw usageError('--cookie must be the name of a cookie', 'For example: --cookie __Host-session')
}

/**
 * Reads `--limit`.
 *
 * @throws CommandError with exit code 2 for what is no whole number above 0.
 */
export function limitOf({ limit }: Values, fallback: number): number {
  if (limit === undefined) return fallback
  if (/^[1-9]\d{0,8}$/.test(limit)) return Number(limit)
  throw usageError('--limit must be a whole number above 0', 'For example: --limit 10000')
}
