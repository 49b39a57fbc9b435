/**
 * Packs the library and tests the package instead of the source tree: every example, and every block of
 * the documents. `node scripts/tarball.mjs`, before a release; with names of test files, only those.
 *
 * A copy of the project under another name stands in `.test-results/tarball`. There `sojourn` is not the
 * project itself but what `npm install` makes of the tarball; other packages are found further up.
 */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { root, run } from './run.mjs'

const copy = join(root, '.test-results', 'tarball')
const given = process.argv.slice(2)
const tests = given.length
  ? given
  : ['test/examples', 'test/docs/', 'test/doc-blocks', 'test/skill', 'test/package.node']

async function must(command, args, cwd = root) {
  const { code, stdout, output } = await run(command, args, {}, cwd)
  if (code === 0) return stdout
  process.stdout.write(output)
  process.exit(code)
}

await must('node', ['scripts/build.mjs'])
rmSync(copy, { recursive: true, force: true })
mkdirSync(copy, { recursive: true })
for (const path of (await must('git', ['ls-files', '--cached', '--others', '--exclude-standard']))
  .trim()
  .split('\n')) {
  mkdirSync(dirname(join(copy, path)), { recursive: true })
  cpSync(join(root, path), join(copy, path))
}
const pkg = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
// Its own dependencies are those of the project, further up; the lock file goes with them.
const { dependencies: _, devDependencies: __, ...others } = pkg
writeFileSync(join(copy, 'package.json'), JSON.stringify({ ...others, name: 'from-the-tarball' }))
rmSync(join(copy, 'package-lock.json'))
// Turbopack reads nothing above its root, and Next itself is above the copy.
for (const folder of ['examples/next', 'test/fixtures/next-cached']) {
  const file = join(copy, folder, 'next.config.ts')
  const config = readFileSync(file, 'utf8')
  writeFileSync(file, config.replace(/join\(import\.meta\.dirname[^)]*\)/, JSON.stringify(root)))
}

await must('npm', ['pack', '--ignore-scripts', '--pack-destination', copy])
const file = `./sojourn-${pkg.version}.tgz`
const flags = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--legacy-peer-deps']
await must('npm', ['install', ...flags, file], copy)
// Tests that start the command line, or lay the package into a folder of their own.
symlinkSync(join('node_modules', 'sojourn', 'dist'), join(copy, 'dist'))
for (const name of ['@types', 'undici-types']) {
  symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name))
}
const tools = join('node_modules', '.bin')
for (const name of readdirSync(join(root, tools))) {
  if (name !== 'sojourn') symlinkSync(join(root, tools, name), join(copy, tools, name))
}

const { code, output } = await run('vitest', ['run', '--project', 'node', ...tests], {}, copy)
process.stdout.write(output)
process.exitCode = code
