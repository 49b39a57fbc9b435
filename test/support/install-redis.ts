/** Installs Debian's redis-server when it is missing: once, before any test that starts one. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export async function setup(): Promise<void> {
  try {
    await run('redis-server', ['--version'])
    return
  } catch {
    // It is missing.
  }
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  try {
    await run('apt-get', ['update'], options)
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], options)
  } catch (cause) {
    throw new Error('The tests need redis-server: install the Debian package of that name', {
      cause,
    })
  }
}
