/** Tokens of formats that this version does not know: an instance of a newer version may answer beside this one. */
import { StoreError } from '../errors.ts'
import { decodeBase64url } from './base64url.ts'

/** Tells whether a text begins as a token of one of the formats to come: with versions 2 to 15. */
export function isNewer(text: string): boolean {
  const [version = 0] = decodeBase64url(text.slice(0, 4)) ?? []
  return version > 1 && version < 16
}

/** Returns the error for a stored text that does not open because it is newer. It is live, so this is no lost session. */
export function newerError(text: string): StoreError | undefined {
  if (!isNewer(text)) return undefined
  return new StoreError(
    'Cannot read session: a newer version of Sojourn stored it; update this version',
  )
}
