/** The version of this package. */
import { readFile } from 'node:fs/promises'

/** Reads the version from `package.json`, which lies two folders above this one in `src` and in `dist`. */
export async function versionOf(): Promise<string> {
  const file = new URL('../../package.json', import.meta.url)
  const { version } = JSON.parse(await readFile(file, 'utf8')) as { version: string }
  return version
}
