/**
 * Mutation testing of one room: `npm run mutants -- resilience` changes the code of `src/resilience` in every small
 * way that Stryker knows, and prints each change that no test of `test/resilience` notices.
 *
 * Changes of texts are left out, and those of what runs when a module is loaded. What follows the room is given to Stryker.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env, root } from './run.mjs'

const [room, ...options] = process.argv.slice(2)
if (!room || !existsSync(join(root, 'src', room)) || !existsSync(join(root, 'test', room))) {
  console.error('Expected a room that src/ and test/ have, such as resilience')
  process.exit(2)
}

const results = '.test-results'
const tests = {
  include: [`test/${room}/*.test.ts`],
  exclude: ['**/*.node.test.ts'],
  testTimeout: 60_000,
}
const stryker = {
  testRunner: 'vitest',
  vitest: { configFile: `${results}/vitest.mutants.mjs` },
  mutate: [`src/${room}/*.ts`],
  mutator: { excludedMutations: ['StringLiteral'] },
  ignoreStatic: true,
  // No file is compiled: the name of one that does not exist keeps Stryker from rewriting it.
  tsconfigFile: 'none.json',
  timeoutMS: 3000,
  tempDirName: `${results}/mutants`,
  reporters: ['clear-text', 'progress-append-only'],
  clearTextReporter: { logTests: false, reportTests: false },
}
mkdirSync(join(root, results), { recursive: true })
writeFileSync(
  join(root, results, 'vitest.mutants.mjs'),
  `export default ${JSON.stringify({ test: tests })}`,
)
writeFileSync(join(root, results, 'stryker.json'), JSON.stringify(stryker))
const args = ['run', `${results}/stryker.json`, ...options]
process.exitCode = spawnSync('stryker', args, { cwd: root, env, stdio: 'inherit' }).status ?? 1
