/**
 * Starts the playground on real workerd: `npm run dev`, then open the address it prints.
 *
 * The first start writes a secret of its own to `examples/playground/.dev.vars`, so that sessions
 * outlive a restart; `SESSION_SECRET` in the environment takes its place. `PORT` chooses the port.
 * With `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN` there is Redis to choose too.
 */

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env, root, run } from './run.mjs'

const folder = join(root, 'examples', 'playground')
const vars = join(folder, '.dev.vars')
const port = process.env.PORT ?? '8787'
const { SESSION_SECRET } = process.env
/** Of the environment, what takes the place of `.dev.vars`. */
const VARS = ['SESSION_SECRET', 'UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN']

const build = await run('node', ['scripts/build.mjs'])
if (build.code !== 0) {
  process.stderr.write(build.output)
  process.exit(build.code)
}
// Assets of the page: what runs in the browser.
const client = join(folder, 'public', 'sojourn')
mkdirSync(client, { recursive: true })
for (const file of ['client.js', 'watch.js']) {
  copyFileSync(join(root, 'dist', 'client', file), join(client, file))
}
if (!SESSION_SECRET && !existsSync(vars)) {
  writeFileSync(vars, `SESSION_SECRET=${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
}

console.log(`Sojourn playground: http://localhost:${port}`)
const given = VARS.filter((name) => process.env[name])
const set = given.flatMap((name) => ['--var', `${name}:${process.env[name]}`])
const args = ['dev', '--config', join(folder, 'wrangler.toml'), '--ip', '127.0.0.1', '--port', port]
const child = spawn('wrangler', [...args, '--show-interactive-dev-session=false', ...set], {
  cwd: folder,
  env: { ...env, WRANGLER_SEND_METRICS: 'false' },
  stdio: 'inherit',
})
// Those of run.mjs end this process at once, and would leave wrangler behind on its port.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.removeAllListeners(signal).on(signal, () => child.kill(signal))
}
child.on('exit', (code) => process.exit(code ?? 0))
// npm that is ended tells nobody: whoever it leaves behind is handed to another parent.
const { ppid } = process
setInterval(() => process.ppid !== ppid && child.kill('SIGTERM'), 1000).unref()
