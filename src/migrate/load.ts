import { StoreUnavailableError } from '../errors.ts'
import { isObject, type OldData } from './importer.ts'

/** Finds the data of an old session in the store where the old library kept them. */
export type LoadSession = (id: string) => unknown

/** Asks the old store. Its failure is not "no session", and its message stays with it. */
export async function loadSession(load: LoadSession, id: string): Promise<OldData | null> {
  let data: unknown
  try {
    data = await load(id)
  } catch {
    throw new StoreUnavailableError('Cannot import session: load failed')
  }
  if (data === null || data === undefined) return null
  // Text that nobody parsed, for example: taken for "none" it would sign everybody out.
  if (!isObject(data)) throw new TypeError(`load must return an object or null, got ${typeof data}`)
  return data
}
