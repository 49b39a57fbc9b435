/**
 * Runs every gate and every suite, and ends with one line: `N passed, N failed`.
 *
 * `node scripts/test.mjs lint node` runs only those. A gate counts as one; a suite that runs no
 * test, or stops without a report, counts as one failure.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { killAll, root, run } from './run.mjs'

const results = join(root, '.test-results')

const suites = {
  build: () => gate('node', ['scripts/build.mjs']),
  lint: () => gate('biome', ['check', '--error-on-warnings']),
  types: () => gate('tsc', ['-p', 'tsconfig.json']),
  'types on Workers': () => gate('tsc', ['-p', 'test/cloudflare']),
  package: () => gate('publint', ['--strict']),
  'package types': () => gate('attw', ['--pack', '.', '--profile', 'esm-only']),
  jsr: () => gate('deno', ['publish', '--dry-run', '--allow-dirty']),
  size: () => gate('size-limit', []),
  node: () => vitest('node', ['--project', 'neutral', '--project', 'node']),
  workerd: () => vitest('workerd', ['--project', 'workerd']),
  deno: () =>
    vitest(
      'deno',
      ['--project', 'neutral'],
      ['deno', 'run', '-A', 'node_modules/vitest/vitest.mjs'],
    ),
  bun: () => bun(),
  browser: () => vitest('browser', ['--project', 'e2e']),
  site: () => vitest('site', ['--project', 'site']),
}

async function gate(command, args) {
  const { code, output } = await run(command, args)
  return { passed: code ? 0 : 1, failed: code ? 1 : 0, output }
}

async function vitest(name, args, command = ['vitest']) {
  const file = join(results, `${name}.json`)
  const [program, ...before] = command
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const { code, output } = await run(program, [...before, 'run', ...args, ...reporters])
  return judge(code, output, () => {
    const report = JSON.parse(readFileSync(file, 'utf8'))
    // A file that fails before its first test is in no count but this one.
    const broken = report.testResults.filter(
      (f) => f.status === 'failed' && !f.assertionResults.length,
    )
    return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length }
  })
}

/** Bun has a test runner of its own, which stands in for vitest. */
async function bun() {
  const file = join(results, 'bun.xml')
  const files = neutralTests('test').map((path) => `./${path}`)
  const args = ['test', '--timeout=120000', '--reporter=junit', `--reporter-outfile=${file}`]
  const { code, output } = await run('bun', [...args, ...files])
  return judge(code, output, () => {
    const head = readFileSync(file, 'utf8').match(/<testsuites[^>]*>/)[0]
    const number = (name) => Number(head.match(new RegExp(`${name}="(\\d+)"`))?.[1] ?? 0)
    const failed = number('failures') + number('errors')
    return { passed: number('tests') - failed - number('skipped'), failed }
  })
}

function neutralTests(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return /\/(e2e|workerd)$/.test(path) ? [] : neutralTests(path)
    return /(?<!\.node)\.test\.ts$/.test(path) ? [path] : []
  })
}

function judge(code, output, read) {
  try {
    const { passed, failed } = read()
    const unexplained = passed + failed === 0 || (code !== 0 && failed === 0)
    return { passed, failed: failed + (unexplained ? 1 : 0), output }
  } catch {
    return { passed: 0, failed: 1, output }
  }
}

const wanted = process.argv.slice(2)
for (const name of wanted) {
  if (name in suites) continue
  console.error(`There is no suite "${name}", only ${Object.keys(suites).join(', ')}`)
  process.exit(2)
}

rmSync(results, { recursive: true, force: true })
mkdirSync(results)
const total = { passed: 0, failed: 0 }
for (const [name, suite] of Object.entries(suites)) {
  if (wanted.length && !wanted.includes(name)) continue
  const started = Date.now()
  const { passed, failed, output } = await suite()
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  if (failed) console.log(output)
  console.log(
    `${failed ? 'not ok' : 'ok'}  ${name}: ${passed} passed, ${failed} failed (${seconds} s)`,
  )
  total.passed += passed
  total.failed += failed
}
killAll()
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed ? 1 : 0
