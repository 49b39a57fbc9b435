import { limitOf } from '../arguments.ts'
import type { Command } from '../command.ts'
import { callStore, storeOf, withSessions } from '../load.ts'
import { count } from '../words.ts'

export const prune: Command = {
  name: 'prune',
  summary: 'Removes expired sessions, where the store does not do that by itself',
  options: ['config', 'store', 'limit'],
  details: 'It signs nobody out, needs no secret, and can run at any time, for example from a cron',
  examples: [
    ['npx sojourn prune --config sojourn.config.js', 'All that have expired'],
    ['npx sojourn prune --limit 10000', 'About as many, to be brief'],
  ],
  run: ({ values }) =>
    withSessions(values, { secret: false }, async ({ instance }) => {
      const store = storeOf(instance)
      if (!store.prune) {
        const text = `The store "${store.name}" removes expired sessions by itself: nothing to do.\n`
        return { text, json: { removed: 0 } }
      }
      const limit = limitOf(values, Infinity)
      let removed = 0
      for (let last = 1; last && removed < limit; removed += last) {
        last = await callStore(instance, store, 'prune', async () => store.prune!())
      }
      return { text: `${count(removed, 'expired record')} removed.\n`, json: { removed } }
    }),
}
