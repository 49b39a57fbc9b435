/**
 * Policy and controls from one JSON text, which an operator changes while the application runs:
 *
 *   { "policy": { "attempts": 2 }, "controls": { "notBefore": 1790000000000, "readOnly": false } }
 *
 *   const settings = liveSettings(() => env.SETTINGS.get('sojourn'))   // Cloudflare KV
 *   const settings = liveSettings(() => redis.get('sojourn'))          // Redis
 *
 *   createSessions({
 *     secret,
 *     store: resilient(store, settings.policy),
 *     controls: settings.controls,
 *   })
 *
 * Sessions ask for the controls every five seconds, and the policy comes along. A text that is no JSON, or
 * says what is wrong, changes nothing and is told of by the event `policy.invalid`.
 */
import type { Controls } from 'sojourn'
import type { ResilientPolicy } from 'sojourn/resilience'

interface Settings {
  policy?: ResilientPolicy
  controls?: Controls
}

export function liveSettings(read: () => Promise<string | null>) {
  let latest: Settings = {}
  return {
    policy: (): ResilientPolicy => latest.policy ?? {},
    async controls(): Promise<Controls> {
      latest = JSON.parse((await read()) ?? '{}') as Settings
      return latest.controls ?? {}
    },
  }
}
