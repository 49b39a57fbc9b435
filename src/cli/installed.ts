/** Packages of the application, which this one does not depend on. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

/** Imports a package that the application has, or that is installed beside this one; `null`: neither. */
export async function importInstalled(name: string): Promise<Record<string, unknown> | null> {
  for (const from of [join(process.cwd(), 'package.json'), import.meta.filename]) {
    const path = resolveFrom(from, name)
    if (path) return (await import(pathToFileURL(path).href)) as Record<string, unknown>
  }
  return null
}

function resolveFrom(from: string, name: string): string | null {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return null
  }
}
