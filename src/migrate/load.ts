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
  return isObject(data) ? data : null
}
