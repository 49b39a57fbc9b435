/**
 * Simulates: `npm run simulate -- --profile memory --seed 1 --runs 1000`. Without a profile, all of
 * them. Prints the shortest trace of the first violation of each profile, and how many runs had one.
 * `--kept` runs the scenarios that once found something first, and `--keep 'what it showed'` adds the first violation to them.
 * `--plant name` puts a fault in, `--json` prints the seeds that violate each rule and nothing else,
 * `--limit name` counts what is accepted, `--first` stops at the first violation, `--rule 4` looks for those of one rule, `--trace` shows a run.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { plantSource } from './plant-source.ts'
import { PLANTS } from './plants.ts'

const { values } = parseArgs({
  options: {
    profile: { type: 'string' },
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '100' },
    plant: { type: 'string' },
    rule: { type: 'string' },
    'no-shrink': { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    first: { type: 'boolean', default: false },
    limit: { type: 'string' },
    kept: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
})
const plant = values.plant === undefined ? null : PLANTS[values.plant]
if (plant === undefined) {
  throw new Error(`There is no plant "${values.plant}", only ${Object.keys(PLANTS).join(', ')}`)
}
if (plant?.source) plantSource(plant.source)

const { counted, LIMITS } = await import('./facts.ts')
if (values.limit !== undefined && !(LIMITS as readonly string[]).includes(values.limit)) {
  throw new Error(`There is no limit "${values.limit}", only ${LIMITS.join('; ')}`)
}
counted.limit = values.limit
const { runCampaign } = await import('./campaign.ts')
const { PROFILES } = await import('./profiles.ts')
const { keep, readKept } = await import('./kept.ts')
const { shrink } = await import('./shrink.ts')
const { judge, scenarioOf } = await import('./simulate.ts')

type Scenario = Awaited<ReturnType<typeof shrink>>

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function show(scenario: Scenario, rule: string): Promise<void> {
  const { seed, profile } = scenario.config
  say(`seed ${seed}, profile ${profile}: ${rule}`)
  const small = values['no-shrink'] ? scenario : await shrink(scenario, rule, plant ?? null)
  if (values.keep !== undefined) keep({ ...small, rule, showed: values.keep })
  const { rates: _, seed: __, profile: ___, ...config } = small.config
  const { problems, trace } = await judge(small, plant, true)
  say(JSON.stringify(config))
  say(trace.join('\n'))
  for (const { rule: name, text } of problems) say(`  ${name}: ${text}`)
  say('')
}

const [seed, runs] = [Number(values.seed), Number(values.runs)]
const results: Record<string, Record<string, number[]>> = {}
if (values.kept) {
  const broken: Record<string, number[]> = {}
  for (const [i, scenario] of readKept().entries()) {
    const [problem] = (await judge(scenario, plant)).problems
    if (!problem) continue
    broken[problem.rule] = [...(broken[problem.rule] ?? []), i + 1]
    process.exitCode = 1
    if (!values.json) say(`kept scenario ${i + 1}: ${problem.rule} (${scenario.showed})`)
  }
  results.kept = broken
}
for (const profile of values.profile?.split(',') ?? PROFILES) {
  if (values.trace) await show(scenarioOf(profile, seed), 'as it is')
  let isFirst = !values['no-shrink'] && !values.json
  const started = process.cpuUsage()
  const { rules } = await runCampaign({
    profile,
    seed,
    runs,
    plant,
    rule: values.rule,
    async onFound(scenario, rule) {
      if (isFirst) await show(scenario, rule)
      isFirst = false
      return !values.first
    },
  })
  results[profile] = Object.fromEntries(rules)
  const found = [...rules.values()].flat().length
  if (found) process.exitCode = 1
  if (values.json) continue
  const { user, system } = process.cpuUsage(started)
  const ms = ((user + system) / 1000 / runs).toFixed(1)
  say(`${profile}: ${found} of ${runs} runs violate something (${ms} ms of processor time a run)`)
  for (const [rule, seeds] of rules) {
    say(`  ${rule}: ${seeds.length}, such as seeds ${seeds.slice(0, 8).join(' ')}`)
  }
}
if (values.json) say(JSON.stringify(results))
