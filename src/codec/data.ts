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

/** The fields of a record that a state has not. */
const NO_TEXT = { text: undefined, hasFlash: undefined, extra: undefined }
const CLOSED = 'Cannot read session: its data do not parse or migrate'

/** Reads and writes the data of sessions as they were configured. */
export interface DataFormat {
  readonly copy: CopyValue
  /** The text of one value. */
  stringify(value: unknown): string
  /** The value of such a text, frozen. Throws {@link SessionCorruptionError}. */
  parse(text: string): unknown
  /**
   * Parses, migrates and checks the data. Those of a newer version stay unread: the state has its
   * version and no data.
   *
   * @param merge Changes the state before it is migrated, as appended entries do.
   * @throws {@link SessionCorruptionError} or {@link SessionValidationError}.
   */
  read(opened: OpenedRecord, merge?: (state: SessionState) => SessionState): Promise<SessionState>
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
    async read(opened, merge = (state) => state) {
      const { text, hasFlash } = opened
      // To leave them out by `...rest` takes ten times as long.
      const state: SessionState = Object.assign({ ...opened, data: EMPTY, flash: EMPTY }, NO_TEXT)
      if (state.version > version) return state
      try {
        const parsed = codec.parse(text ?? '')
        const [data, flash] = (hasFlash ? parsed : [parsed, EMPTY]) as [Data, Data]
        const merged = merge(Object.assign(state, { data, flash }))
        const older = migrate && opened.version < version
        const today = older ? await migrate(merged.data, opened.version) : merged.data
        const checked: unknown = schema ? await check(today) : today
        const own = schema || older ? freezeCopy : deepFreeze
        if (!isObject(checked) || Array.isArray(checked)) throw new TypeError()
        const frozen = { data: own(checked as Data), flash: deepFreeze(merged.flash) }
        return Object.assign(merged, frozen)
      } catch (error) {
        if (error instanceof SessionValidationError) throw error
        throw new SessionCorruptionError(CLOSED)
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
