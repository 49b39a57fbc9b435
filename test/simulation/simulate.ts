/** One run from its seed to its verdict. */
import type { Action } from './actions.ts'
import { BoundStory } from './bound-story.ts'
import { generate, Story } from './generate.ts'
import type { Problem } from './history.ts'
import { check } from './invariants.ts'
import type { Plant } from './plant-source.ts'
import { configOf, type RunConfig } from './profiles.ts'
import { runActions } from './run.ts'

/** Everything that a run is made of. */
export interface Scenario {
  readonly config: RunConfig
  readonly actions: readonly Action[]
}

export function scenarioOf(profile: string, seed: number): Scenario {
  const config = configOf(profile, seed)
  return { config, actions: generate(config, config.deviceBound ? BoundStory : Story) }
}

/** What a scenario does that must not happen, the first thing first. */
export async function judge(
  { config, actions }: Scenario,
  plant: Plant | null = null,
  traced: boolean = false,
): Promise<{ problems: Problem[]; trace: readonly string[] }> {
  const { history, trace } = await runActions(config, actions, { plant, traced })
  return { problems: check(config, history), trace }
}
