/** The command line of the simulation, for tests. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/*
 * Every run is a process of its own, because a simulation replaces the clock, the timers and
 * WebCrypto, and because planted faults change the source.
 */

const CLI = fileURLToPath(new URL('cli.ts', import.meta.url))

/** Seeds that violate a rule, by rule and by profile. */
export type Found = Record<string, Record<string, number[]>>

export async function simulate(...args: string[]): Promise<string> {
  const run = promisify(execFile)(process.execPath, [CLI, ...args], { maxBuffer: 2 ** 26 })
  // A violation is an exit code, and no failure of the simulation.
  return await run.then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => {
      if (error.stderr) throw new Error(error.stderr)
      return error.stdout
    },
  )
}

export async function seedsOf(...args: string[]): Promise<Found> {
  return JSON.parse(await simulate('--json', ...args)) as Found
}

/** Seeds of a profile that `npm test` runs: ten profiles take a minute of two cores. */
const RUNS = 280

/** The violations in those runs. */
export async function violationsOf(profile: string): Promise<Found[string] | undefined> {
  return (await seedsOf('--profile', profile, '--runs', String(RUNS)))[profile]
}
