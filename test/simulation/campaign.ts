/** Many runs of one profile. */
import type { Plant } from './plant-source.ts'
import { judge, type Scenario, scenarioOf } from './simulate.ts'

/** What a campaign found: the seeds that violate each rule first. */
export interface Campaign {
  readonly runs: number
  readonly rules: ReadonlyMap<string, number[]>
}

export interface CampaignOptions {
  readonly profile: string
  readonly seed: number
  readonly runs: number
  readonly plant?: Plant | null
  /** Counts only what begins so. */
  readonly rule?: string | undefined
  /** Ends the campaign by returning `false`. */
  readonly onFound?: (scenario: Scenario, rule: string) => Promise<boolean>
}

export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const { profile, seed: first, runs, plant = null, rule = '', onFound } = options
  const rules = new Map<string, number[]>()
  for (let seed = first; seed < first + runs; seed++) {
    const scenario = scenarioOf(profile, seed)
    const { problems } = await judge(scenario, plant)
    const problem = problems.find((one) => one.rule.startsWith(rule))
    if (!problem) continue
    rules.set(problem.rule, [...(rules.get(problem.rule) ?? []), seed])
    if (onFound && !(await onFound(scenario, problem.rule))) break
  }
  return { runs, rules }
}
