/** Installs Debian's databases, and a pooler, when one is missing: once, before any test that starts one. */
import { installPackages, isInstalled } from './debian.ts'
import { postgresFolder } from './sql-servers.ts'

export async function setup(): Promise<void> {
  const programs = await Promise.all(['mariadbd', 'pgbouncer'].map((name) => isInstalled(name)))
  if (programs.every((isThere) => isThere) && postgresFolder()) return
  await installPackages('postgresql', 'mariadb-server', 'pgbouncer')
}
