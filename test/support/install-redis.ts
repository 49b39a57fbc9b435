/** Installs Debian's redis-server when it is missing: once, before any test that starts one. */
import { installPackages, isInstalled } from './debian.ts'

export async function setup(): Promise<void> {
  if (!(await isInstalled('redis-server'))) await installPackages('redis-server')
}
