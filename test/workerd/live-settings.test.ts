import { env } from 'cloudflare:workers'
import { expect, it } from 'vitest'
import type { KVBinding } from '../../src/stores/kv.ts'
import { followSettings } from '../support/live-settings.ts'

it('policy and controls are changed in Workers KV', async () => {
  const kv = env.SESSIONS_KV as KVBinding & {
    get(key: string): Promise<string | null>
    put(key: string, value: string): Promise<void>
  }
  await followSettings(
    { read: () => kv.get('settings'), write: (text) => kv.put('settings', text) },
    expect,
  )
})
