/** Installs Debian's PostgreSQL and MariaDB when they are missing: once, before any test that starts one. */
import { installPackages, isInstalled } from './debian.ts'
import { postgresFolder } from './sql-servers.ts'

export async function setup(): Promise<void> {
  const isThere = (await isInstalled('mariadbd')) && postgresFolder() !== undefined
  if (!isThere) await installPackages('postgresql', 'mariadb-server')
}
