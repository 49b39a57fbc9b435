/** Errors in a sentence that says what to do. */
import { SessionError } from '../errors.ts'
import { CommandError } from './command.ts'

/** Errors of our options, arguments and factories, which name what is wrong and show no value. */
const OF_OPTIONS =
  /^(Option "[\w.]+" must be |Unknown option "[\w.]+", expected one of |Argument "\w+" must be |Variable [A-Z_]+ (is|must be) |create\w+Store: \w+ must be )/

const BY_REASON: Record<string, string> = {
  auth: 'Check user and password of the store, and what they may do',
  full: 'Give the store more memory or disk. Ending sessions works meanwhile',
  'read-only': 'This is a replica, or its disk cannot be written: use the address of the primary',
  loading: 'The store is starting or busy: try again in a moment',
  'too-large': 'A value is over a limit of the store',
  rate: 'Too many calls at once: try again in a moment',
  quota: 'What the plan of the store allows is used up: look at its console',
  cluster:
    'In a cluster the store needs a client for clusters and a prefix such as "{sojourn}:": use --config',
  timeout: 'The store did not answer in time: is its address reachable from here?',
  network: 'Is the store running, and is its address reachable from here?',
}

const BY_CODE: Record<string, string> = {
  ERR_STORE_REQUIRED:
    'Use --config with a module whose sessions have such a store, or set SESSION_STORE',
  ERR_STORE: 'The store is there and refused: look at its own log',
  ERR_STORE_UNAVAILABLE: BY_REASON.network!,
  ERR_STORE_TIMEOUT: BY_REASON.timeout!,
  ERR_CIRCUIT_OPEN: 'The store failed several times in a row: try again in half a minute',
}

/** Turns whatever a command threw into the error to print. What is not ours is not quoted: it may hold anything. */
export function toCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) return error
  if (error instanceof SessionError) return fromSessionError(error)
  if (isAboutOptions(error)) return new CommandError(error.message, adviceOnOptions(error.message))
  return new CommandError(
    `The command failed: ${wordsOf(error) || 'unknown error'}`,
    'Its message is not shown, since it may hold what is secret. Please report this, with the command and without its output',
  )
}

/**
 * Makes the error for a store that let nobody in. The client's own words are not shown: they may quote the password.
 *
 * @param at Names the server, in a sentence about it.
 * @param refusal Codes, or words at the front of a message, by which it refuses a user or a password.
 * @param hint A further question, or a rule, for an address that nobody answers at.
 */
export function connectionError(
  error: unknown,
  at: string,
  store: string | null,
  refusal: RegExp,
  hint: string,
): CommandError {
  if (error instanceof CommandError) return error
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  const [refused] = refusal.exec(String(code)) ?? refusal.exec(String(message)) ?? []
  const said = refused ?? (/^[A-Z0-9_]+$/.test(String(code)) ? code : '')
  const word = said ? ` (${said})` : ''
  return refused
    ? new CommandError(
        `${at} refused the user or the password${word}`,
        'Check what stands before the "@" in SESSION_STORE: scheme://user:password@host',
        { store, reason: 'auth' },
      )
    : new CommandError(
        `${at} cannot be reached${word}`,
        `Is it running, and is its address reachable from here? ${hint}`,
        { store, reason: 'network' },
      )
}

/** Returns what can be shown of somebody else's error: its name and its code, perhaps nothing. */
export function wordsOf(error: unknown): string {
  const { code, name } = Object(error) as Record<string, unknown>
  return [name, code].filter((word) => typeof word === 'string' && /^\w+$/.test(word)).join(' ')
}

/** Tells whether an error is ours and about an option: its message shows no value. */
export function isAboutOptions(error: unknown): error is TypeError | RangeError {
  const isKind = error instanceof TypeError || error instanceof RangeError
  return isKind && OF_OPTIONS.test(error.message)
}

function adviceOnOptions(message: string): string {
  if (message.startsWith('createUpstashStore')) {
    return 'Copy UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN from the console of Upstash'
  }
  if (!/SESSION_SECRET|"secret"/.test(message)) return 'Correct it, and run the command again'
  return 'Set SESSION_SECRET to what the application has; a new one comes from: npx sojourn secret'
}

export function adviceOn({ code, reason }: SessionError): string {
  return BY_REASON[reason ?? ''] ?? BY_CODE[code] ?? 'See docs/error-handling.md for this code'
}

function fromSessionError(error: SessionError): CommandError {
  const { code, message, reason, word } = error as SessionError & { word?: string }
  const said = word && !message.includes(word) ? ` (${word})` : ''
  return new CommandError(`${message}${said}`, adviceOn(error), {
    code,
    ...(reason && { reason }),
    ...(word && { word }),
  })
}
