/** From text to data and back: codec, migration, schema. */
import { isObject } from '../check.ts'
import { SessionCorruptionError, SessionValidationError } from '../errors.ts'
import type { ResolvedOptions } from '../resolve-options.ts'
import type { OpenedRecord, SessionState } from './session-record.ts'
import { type CopyValue, copyJson, copyWith, deepFreeze, EMPTY, freezeCopy } from './values.ts'

/** The data of a session as text. */
export interface DataText {
  readonly text: string
  readonly hasFlash: boolean
}

type Data = Record<string, unknown>

const CLOSED = 'Cannot read session: its data do not parse or migrate'

/** Reads and writes the data of sessions as they were configured. */
export interface DataFormat {
  readonly copy: CopyValue
  /** The text of one value. */
  stringify(value: unknown): string
  /** The value of such a text, frozen. Throws {@link SessionCorruptionError}. */
  parse(text: string): unknown
  /**
   * Parses, migrates and checks the data; without a promise where nothing is migrated or checked. Those of a newer
   * version stay unread: the state has its version and no data.
   *
   * @param merge Changes the state before it is migrated, as appended entries do.
   * @throws {@link SessionCorruptionError} or {@link SessionValidationError}.
   */
  read(
    opened: OpenedRecord,
    merge?: (state: SessionState) => SessionState,
  ): SessionState | Promise<SessionState>
  write(state: SessionState): DataText
  /** Only with a schema. Throws {@link SessionValidationError}. */
  readonly check: ((state: SessionState) => Promise<unknown>) | undefined
  /** Only with a schema: what a new session starts with, its defaults. */
  readonly initial: (() => Promise<Data>) | undefined
}

/** Puts codec, migration and schema together. */
export function createFormat(options: ResolvedOptions): DataFormat {
  const { schema, version, migrate, codec = JSON } = options
  const check = async (data: unknown): Promise<Data> => {
    const result = await schema!['~standard'].validate(data)
    if (!result.issues) return result.value as Data
    throw new SessionValidationError('Session data do not satisfy the schema', result.issues)
  }
  const renew = async (state: SessionState, from: number): Promise<SessionState> => {
    const today = migrate && from < version ? await migrate(state.data, from) : state.data
    return withData(state, freezeCopy(schema ? await check(today) : today))
  }
  return {
    copy: options.codec ? copyWith(options.codec) : copyJson,
    stringify: (value) => codec.stringify(value),
    parse(text) {
      try {
        return deepFreeze(codec.parse(text))
      } catch {
        // That of the codec may quote data.
        throw new SessionCorruptionError(CLOSED)
      }
    },
    read(opened, merge = (state) => state) {
      const { hasFlash, text, version: from } = opened
      if (from > version) return stateOf(opened, EMPTY, EMPTY)
      try {
        const parsed = codec.parse(text ?? '')
        const [data, flash] = (hasFlash ? parsed : [parsed, EMPTY]) as [Data, Data]
        const state = merge(stateOf(opened, data, flash))
        const isCurrent = !schema && !(migrate && from < version)
        return isCurrent
          ? withData(state, deepFreeze(state.data))
          : renew(state, from).catch(refuse)
      } catch (error) {
        return refuse(error)
      }
    },
    write({ data, flash }) {
      const hasFlash = Object.keys(flash).length > 0
      return { text: codec.stringify(hasFlash ? [data, flash] : data), hasFlash }
    },
    check: schema && (({ data }) => check(data)),
    initial: schema && (async () => freezeCopy(await check({}).catch(() => EMPTY))),
  }
}

/** Returns the state of a record, without its text: fields that are `undefined` take less time than left out ones. */
function stateOf(record: OpenedRecord, data: Data, flash: Data): SessionState {
  const gone = undefined
  const state: SessionState & Record<'text' | 'hasFlash' | 'extra', undefined> = {
    ...record,
    text: gone,
    hasFlash: gone,
    extra: gone,
    data,
    flash,
  }
  return state
}

/** Returns a state with those data, which are frozen. */
function withData(state: SessionState, data: unknown): SessionState {
  if (!isObject(data) || Array.isArray(data)) throw new TypeError()
  deepFreeze(state.flash)
  return data === state.data ? state : { ...state, data: data as Data }
}

/** Throws what is wrong with data that were read. */
function refuse(error: unknown): never {
  if (error instanceof SessionValidationError) throw error
  throw new SessionCorruptionError(CLOSED)
}
