import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { followSettings } from '../support/live-settings.ts'
import { startRedis } from '../support/redis.ts'

it('policy and controls are changed in Redis', async () => {
  const server = await startRedis()
  const client = new Redis(server.port, '127.0.0.1')
  try {
    await followSettings(
      { read: () => client.get('settings'), write: (text) => client.set('settings', text) },
      expect,
    )
  } finally {
    client.disconnect()
    await server.stop()
  }
})
