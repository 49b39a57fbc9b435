import { functionRule, type Rule } from '../check.ts'

/** The methods of a KV namespace binding that the store uses; `env.SESSIONS` of a Worker fits. */
export interface KVBinding {
  get(key: string): Promise<string | null>
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>
  delete(key: string): Promise<void>
  list(options?: {
    prefix?: string
    cursor?: string
    limit?: number
  }): Promise<{ keys: readonly { name: string }[]; list_complete: boolean; cursor?: string }>
}

/** Options for {@link createKVStore}. */
export interface KVStoreOptions {
  /** The binding, for example `env.SESSIONS`. */
  namespace: KVBinding
  /** The beginning of the store's keys, up to 128 characters; begins with no other store's. (default: `'sojourn:'`) */
  prefix?: string
  /** Epoch milliseconds. (default: Date.now) */
  now?: () => number
}

const methods = ['get', 'put', 'delete', 'list'] as const

export const KV_RULES: Record<keyof KVStoreOptions, Rule> = {
  namespace: [
    undefined,
    'a KV namespace binding',
    (value: KVBinding) => methods.every((method) => typeof value[method] === 'function'),
  ],
  prefix: [
    'sojourn:',
    'a string of at most 128 characters',
    (value: unknown) => typeof value === 'string' && value.length <= 128,
  ],
  now: functionRule(() => Date.now()),
}
