/** From text to data and back: codec, migration, schema. */
import { SessionCorruptionError, SessionValidationError } from './errors.ts'
import type { ResolvedOptions } from './options.ts'
import type { OpenedRecord, SessionState } from './record.ts'
import { type CopyValue, copyJson, copyWith, deepFreeze } from './values.ts'

/** The data of a session as text. */
export interface DataText {
  readonly text: string
  readonly hasFlash: boolean
}

/** Reads and writes the data of sessions as they were configured. */
export interface DataFormat {
  readonly copy: CopyValue
  /** The text of one value. */
  stringify(value: unknown): string
  /**
   * Parses, migrates and checks the data. Those of a newer version stay unread: the state has its
   * version and no data.
   *
   * @throws {@link SessionCorruptionError} or {@link SessionValidationError}.
   */
  read(opened: OpenedRecord): Promise<SessionState>
  write(state: SessionState): DataText
  /** @throws {@link SessionValidationError} */
  check(state: SessionState): Promise<void>
  /** What a new session starts with: the schema's defaults, where it has some. */
  initial(): Promise<Record<string, unknown>>
}

type Data = Record<string, unknown>

/** Puts codec, migration and schema together. */
export function createFormat(options: ResolvedOptions): DataFormat {
  const { schema, version, migrate, codec = JSON } = options
  const check = async (data: unknown): Promise<Data> => {
    if (!schema) return data as Data
    const result = await schema['~standard'].validate(data)
    if (!result.issues) return result.value as Data
    throw new SessionValidationError('Session data do not satisfy the schema', result.issues)
  }
  const parse = (opened: OpenedRecord): { data: unknown; flash: Data } => {
    const parsed = codec.parse(opened.text ?? '')
    const [data, flash] = opened.hasFlash ? (parsed as [unknown, Data]) : [parsed, {}]
    const older = migrate && opened.version < version
    return { data: older ? migrate(data, opened.version) : data, flash }
  }
  return {
    copy: options.codec ? copyWith(options.codec) : copyJson,
    stringify: (value) => codec.stringify(value),
    async read(opened) {
      if (opened.version > version) return { ...opened, data: EMPTY, flash: EMPTY }
      try {
        const { data, flash } = parse(opened)
        const checked = await check(data)
        if (typeof checked !== 'object' || checked === null) throw new TypeError()
        return { ...opened, data: deepFreeze(checked), flash: deepFreeze(flash) }
      } catch (error) {
        if (error instanceof SessionValidationError) throw error
        throw new SessionCorruptionError('Cannot read session: its data do not parse or migrate')
      }
    },
    write({ data, flash }) {
      const hasFlash = Object.keys(flash).length > 0
      return { text: codec.stringify(hasFlash ? [data, flash] : data), hasFlash }
    },
    async check({ data }) {
      await check(data)
    },
    initial: async () => (schema ? deepFreeze(await check({}).catch(() => ({}))) : EMPTY),
  }
}

const EMPTY: Data = Object.freeze({})
