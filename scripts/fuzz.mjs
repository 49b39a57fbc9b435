/**
 * Runs every target for as long as wanted, before a release: `node scripts/fuzz.mjs 1000000 [seed]`.
 * What it finds belongs into test/fuzz/corpus.json.
 */
import { createTargets, mutate } from '../test/fuzz/targets.ts'
import { createRandomBelow } from '../test/support/schedule.ts'

const [, , runs = '100000', seed = String(Date.now() % 1e9)] = process.argv
let findings = 0
process.on('unhandledRejection', (error) => {
  findings++
  console.log('unhandled', error)
})

for (const [name, { seeds, run }] of Object.entries(await createTargets())) {
  const random = createRandomBelow(Number(seed))
  let slowest = { ms: 0, text: '' }
  const started = performance.now()
  for (let i = 0; i < Number(runs); i++) {
    const text = mutate(seeds, random)
    const before = performance.now()
    await run(text).catch((error) => {
      findings++
      console.log(name, JSON.stringify(text), error)
    })
    const ms = performance.now() - before
    if (ms > slowest.ms) slowest = { ms, text }
  }
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `${name}: ${runs} texts in ${seconds} s, seed ${seed}, the slowest ${Math.round(slowest.ms)} ms for ${slowest.text.length} characters`,
  )
}
console.log(`${findings} findings`)
process.exitCode = findings ? 1 : 0
