import { SessionError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import type { SessionStore } from '../stores/store.ts'

/** The store, for what nothing else can do. */
export function requireStore({ options }: Instance): SessionStore {
  if (options.store) return options.store
  throw new SessionError('Sessions in cookies cannot do this: it needs the option "store"', {
    code: 'ERR_STORE_REQUIRED',
  })
}
