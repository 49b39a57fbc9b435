/** Makes a scenario as short as it gets while it still violates the same rule. */
import type { Action, RequestAction } from './actions.ts'
import type { Plant } from './plant-source.ts'
import type { RunConfig } from './profiles.ts'
import { judge, type Scenario } from './simulate.ts'

const MAX_TRIALS = 600

export async function shrink(
  scenario: Scenario,
  rule: string,
  plant: Plant | null,
): Promise<Scenario> {
  let best = scenario
  let trials = 0
  const holds = async (candidate: Scenario): Promise<boolean> => {
    if (++trials > MAX_TRIALS) return false
    const { problems } = await judge(candidate, plant)
    if (!problems.some((problem) => problem.rule === rule)) return false
    best = candidate
    return true
  }
  for (let length = -1; length !== best.actions.length && trials < MAX_TRIALS; ) {
    length = best.actions.length
    await dropActions(() => best, holds)
    for (const change of CONFIG_CHANGES) {
      const config = { ...best.config, ...change(best.config) }
      if (JSON.stringify(config) !== JSON.stringify(best.config)) await holds({ ...best, config })
    }
    await simplifyRequests(() => best, holds)
  }
  return best
}

type Holds = (candidate: Scenario) => Promise<boolean>

/** Delta debugging: halves, quarters, down to single actions. */
async function dropActions(best: () => Scenario, holds: Holds): Promise<void> {
  for (let size = best().actions.length >> 1; size >= 1; size >>= 1) {
    for (let from = 0; from < best().actions.length; ) {
      const { config, actions } = best()
      const left = [...actions.slice(0, from), ...actions.slice(from + size)]
      if (!(await holds({ config, actions: left }))) from += size
    }
  }
}

/** Everything without which a run is easier to read. */
const CONFIG_CHANGES: readonly ((config: RunConfig) => Partial<RunConfig>)[] = [
  ({ isolates }) => ({ isolates: isolates.map((one) => ({ ...one, drift: 0 })) }),
  ({ isolates }) => ({ isolates: isolates.map((one) => ({ ...one, order: 0 as const })) }),
  () => ({ resilient: false }),
  () => ({ cached: false as const }),
  () => ({ snapshot: false as const }),
  () => ({ faultRate: 0 }),
  () => ({ lagMs: 0 }),
  () => ({ latency: [1, 5] as const }),
  () => ({ onStoreFailure: 'degrade' as const }),
  () => ({ renewAfter: 60 }),
]

async function simplifyRequests(best: () => Scenario, holds: Holds): Promise<void> {
  for (let i = 0; i < best().actions.length; i++) {
    const replaced = (change: Partial<RequestAction>): Scenario => {
      const { config, actions } = best()
      const next = actions.map(
        (one, j): Action => (i === j ? ({ ...one, ...change } as Action) : one),
      )
      return { config, actions: next }
    }
    const action = (): Action | undefined => best().actions[i]
    const request = (): RequestAction | null => {
      const one = action()
      return one?.type === 'request' ? one : null
    }
    if (!request()) continue
    for (let use = request()!.uses.length - 1; use >= 0; use--) {
      await holds(replaced({ uses: request()!.uses.filter((_, j) => j !== use) }))
    }
    if (request()!.lost) await holds(replaced({ lost: false }))
    if (request()!.think) await holds(replaced({ think: 0 }))
    if (request()!.isolate) await holds(replaced({ isolate: 0 }))
    if (request()!.down > 10) await holds(replaced({ down: 5 }))
    if (request()!.up > 10) await holds(replaced({ up: 5 }))
  }
}
