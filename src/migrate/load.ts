import { SessionCorruptionError, StoreTimeoutError, StoreUnavailableError } from '../errors.ts'
import { inTime, isObject, type OldData } from './importer.ts'

/**
 * Asks the old store. Its failure is not "no session", and its message stays with it. A record that does
 * not parse is no failure: it would lock its visitor out for as long as the old cookie lives.
 *
 * @throws {@link StoreUnavailableError}, {@link SessionCorruptionError}, or TypeError for what are no data.
 */
export async function loadSession(
  load: (id: string) => unknown,
  id: string,
): Promise<OldData | null> {
  let data: unknown
  try {
    data = await inTime(() => load(id))
  } catch (error) {
    if (error instanceof StoreTimeoutError) throw error
    if (error instanceof SyntaxError) {
      throw new SessionCorruptionError('Cannot import session: the old data do not parse')
    }
    throw new StoreUnavailableError('Cannot import session: load failed')
  }
  if (data === null || data === undefined) return null
  // Text that nobody parsed, for example: taken for "none" it would sign everybody out.
  if (!isObject(data)) throw new TypeError(`load must return an object or null, got ${typeof data}`)
  return data
}
