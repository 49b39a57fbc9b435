import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Tells whether a program runs: `redis-server --version`. */
export async function isInstalled(program: string): Promise<boolean> {
  try {
    await run(program, ['--version'])
    return true
  } catch {
    return false
  }
}

/** Installs Debian packages, or says which the tests need. */
export async function installPackages(...packages: string[]): Promise<void> {
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
  // Mirrors fail for a moment, and new machines update themselves.
  const patient = ['-o', 'Acquire::Retries=5', '-o', 'DPkg::Lock::Timeout=600']
  try {
    await run('apt-get', [...patient, 'update'], options)
    const install = ['install', '-y', '--no-install-recommends']
    await run('apt-get', [...patient, ...install, ...packages], options)
  } catch (cause) {
    const names = packages.join(' and ')
    throw new Error(`The tests need the Debian packages ${names}: install them`, { cause })
  }
}
