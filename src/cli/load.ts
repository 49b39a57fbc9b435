/** The sessions that a command works on: those of a config module, or made from the environment. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { type StoreReason, StoreUnavailableError } from '../errors.ts'
import { MARKER_ID } from '../observe/examine.ts'
import type { SessionsOptions } from '../options.ts'
import { fromEnv } from '../presets.ts'
import { generateSecret } from '../secret.ts'
import type { Instance } from '../session/instance.ts'
import { instanceOf } from '../session/instances.ts'
import { createSessions, type Sessions } from '../session/sessions.ts'
import { startCalls } from '../session/store-calls.ts'
import type { SessionStore, StoreCallOptions, StoredPage, StoreOperation } from '../stores/store.ts'
import { CommandError, usageError, type Values } from './command.ts'
import { isAboutOptions, wordsOf } from './errors.ts'
import { storeFromEnv } from './store-url.ts'

export interface Loaded {
  readonly sessions: Sessions
  readonly instance: Instance
}

export interface Needs {
  /** `false`: the command opens no record and finds nobody, so that it works without a secret. (default: `true`) */
  readonly secret?: boolean
  /** `false`: the store of the environment is not asked for. (default: `true`) */
  readonly store?: boolean
  /** `true`: a store that cannot be reached fails when it is asked, and not before. (default: `false`) */
  readonly brokenStore?: boolean
}

/** Returns the store of sessions; throws where they have none. */
export function storeOf({ options: { store } }: Instance): SessionStore {
  if (store) return store
  throw new CommandError(
    'No store is named',
    'Use --config with a module of the application, or set SESSION_STORE (redis://, postgres://, mysql://, file:), or the two variables of Upstash. Sessions that live in cookies are in no store',
  )
}

/** Makes one call of a store as the library does: with a deadline, and without the words of a client in its errors. */
export function callStore<T>(
  instance: Instance,
  store: SessionStore,
  operation: StoreOperation,
  call: (options: StoreCallOptions) => Promise<T>,
): Promise<T> {
  return startCalls({ instance, store }).make(operation, call)
}

/** Goes through a store, a page at a time, past the marker that `health` leaves there. */
export async function* pagesOf(
  instance: Instance,
  store: SessionStore,
): AsyncGenerator<StoredPage> {
  for (let cursor: string | null = null; ; ) {
    const page: StoredPage = await callStore(instance, store, 'page', (call) =>
      store.page!(cursor, call),
    )
    yield { ...page, records: page.records.filter(({ id }) => id !== MARKER_ID) }
    if (page.cursor === null) return
    cursor = page.cursor
  }
}

const CONFIG_ADVICE =
  'It exports "sessions" (what createSessions returned) or "options" (what it is given), by name or as default'

/**
 * Loads sessions, runs a command with them, and closes their store.
 *
 * @throws CommandError when there is no config, secret or store.
 */
export async function withSessions<T>(
  values: Values,
  needs: Needs,
  use: (loaded: Loaded) => Promise<T>,
): Promise<T> {
  const loaded = await load(values, needs)
  try {
    return await use(loaded)
  } finally {
    await loaded.sessions.close().catch(() => {})
  }
}

async function load(values: Values, needs: Needs): Promise<Loaded> {
  if (values.config !== undefined && values.store !== undefined) {
    throw usageError('--config and --store exclude each other', 'A config module brings its store')
  }
  const sessions =
    values.config === undefined
      ? createSessions(await optionsFromEnv(values.store, needs))
      : await fromConfig(values.config, needs)
  const instance = instanceOf(sessions)
  if (!instance) {
    throw new CommandError(
      'The sessions of the config module were made by another copy of sojourn',
      'Run the one of the application (npx sojourn, in its folder), or export "options" in place of "sessions"',
    )
  }
  return { sessions, instance }
}

async function optionsFromEnv(url: string | undefined, needs: Needs): Promise<SessionsOptions> {
  const store = needs.store === false ? undefined : await openStore(url, needs)
  return { ...secretFromEnv(needs), ...(store && { store }) }
}

async function openStore(url: string | undefined, needs: Needs): Promise<SessionStore | undefined> {
  try {
    return await storeFromEnv(url)
  } catch (error) {
    if (!needs.brokenStore || !(error instanceof CommandError)) throw error
    const { reason, store } = error.details as { reason?: StoreReason; store?: string }
    if (!reason || !store) throw error
    const { message } = error
    const fail = async (): Promise<never> => {
      throw new StoreUnavailableError(message, { reason })
    }
    return { name: store, atomic: true, read: fail, write: fail, end: fail }
  }
}

/** Options by the environment; a secret that nobody needs is drawn. */
function secretFromEnv({ secret = true }: Needs): SessionsOptions {
  const { env } = process
  const isGiven = secret || env.SESSION_SECRET
  return fromEnv(isGiven ? env : { ...env, SESSION_SECRET: generateSecret() })
}

async function fromConfig(path: string, needs: Needs): Promise<Sessions> {
  const exported = await exportsOf(path)
  const given = exported.sessions ?? exported.options ?? exported.default
  const found: unknown = await given
  if (isSessions(found)) return found
  if (Object(found) !== found || typeof found === 'function') {
    throw new CommandError('The config module exports no sessions and no options', CONFIG_ADVICE)
  }
  const options = found as Partial<SessionsOptions>
  const secret = options.secret ?? secretFromEnv(needs).secret
  return createSessions({ ...options, secret })
}

const isSessions = (value: unknown): value is Sessions =>
  typeof Object(value).commit === 'function' && typeof Object(value).revokeAll === 'function'

async function exportsOf(path: string): Promise<Record<string, unknown>> {
  const file = resolve(path)
  if (!existsSync(file)) {
    throw new CommandError(
      'There is no file of the name that --config gives',
      `It is looked for in ${process.cwd()}`,
    )
  }
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (error) {
    throw whyNot(error)
  }
}

/** Makes the error for a module that does not load. Its own words are not shown: they may hold what is secret. */
function whyNot(error: unknown): CommandError {
  if (Object(error).code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return new CommandError(
      'This version of Node does not read TypeScript',
      'Use Node 22.18 or newer, Deno or Bun; or give a config in JavaScript',
    )
  }
  if (isAboutOptions(error)) {
    return new CommandError(
      `The config module threw as it loaded: ${error.message}`,
      'Are the variables set that it reads? node --env-file=.env reads them from a file',
    )
  }
  return new CommandError(
    `The config module does not load: ${wordsOf(error) || 'it threw'}`,
    'Its message is not shown, since it may hold what is secret. Run the module itself to see it, for example: node sojourn.config.js',
  )
}
