/** Installs Debian's PostgreSQL and MariaDB when they are missing: once, before any test that starts one. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { postgresFolder } from './sql-servers.ts'

const run = promisify(execFile)

async function isThere(): Promise<boolean> {
  try {
    await run('mariadbd', ['--version'])
    return postgresFolder() !== undefined
  } catch {
    return false
  }
}

export async function setup(): Promise<void> {
  if (await isThere()) return
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  const packages = ['postgresql', 'mariadb-server']
  try {
    await run('apt-get', ['update'], options)
    await run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], options)
  } catch (cause) {
    const names = packages.join(' and ')
    throw new Error(`The tests need ${names}: install the Debian packages of these names`, {
      cause,
    })
  }
}
