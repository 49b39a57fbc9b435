/** Installs Debian's prometheus for its promtool when that is missing: once, before the test of `ops/`. */
import { installPackages, isInstalled } from './debian.ts'

export async function setup(): Promise<void> {
  if (!(await isInstalled('promtool'))) await installPackages('prometheus')
}
