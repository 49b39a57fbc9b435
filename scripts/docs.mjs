/**
 * Builds the documentation site and serves it: `npm run docs`, then open the address it prints.
 *
 * The site is a package of its own, which the first run installs. `PORT` chooses the port;
 * `node scripts/docs.mjs --build` only writes `site/dist`.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { env, root, run } from './run.mjs'

const site = join(root, 'site')
const port = process.env.PORT ?? '4321'
const siteEnv = { ASTRO_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' }

/** Whether the site's packages are those of its lock file; some are for other platforms. */
function isInstalled() {
  const file = join(site, 'node_modules', '.package-lock.json')
  if (!existsSync(file)) return false
  const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages
  const installed = packagesOf(file)
  const { '': _, ...locked } = packagesOf(join(site, 'package-lock.json'))
  return Object.entries(locked).every(([path, { version, optional }]) =>
    installed[path] ? installed[path].version === version : optional,
  )
}

async function must(command, args) {
  const { code, output } = await run(command, args, siteEnv, site)
  if (code === 0) return
  process.stderr.write(output)
  process.exit(code)
}

if (!isInstalled()) await must('npm', ['ci', '--no-audit', '--no-fund'])
await must('npm', ['run', 'build'])
if (!process.argv.includes('--build')) serve()

function serve() {
  console.log(`Sojourn documentation: http://127.0.0.1:${port}`)
  const args = [
    'node_modules/astro/bin/astro.mjs',
    'preview',
    '--host',
    '127.0.0.1',
    '--port',
    port,
  ]
  const child = spawn('node', args, { cwd: site, env: { ...env, ...siteEnv }, stdio: 'inherit' })
  child.on('exit', (code) => process.exit(code ?? 0))
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.removeAllListeners(signal).on(signal, () => child.kill(signal))
  }
  // npm that is ended tells nobody: whoever it leaves behind is handed to another parent.
  const { ppid } = process
  setInterval(() => process.ppid !== ppid && child.kill('SIGTERM'), 1000).unref()
}
