/** The application that a page of docs/ shows: its blocks whose first line names a file. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../examples/server.ts'

const FENCE = /^```(\w+)\n([\s\S]*?)^```$/gm
/** `// src/index.ts`, `# Dockerfile.txt`, `<!-- +page.svelte -->`, also as the first line of an Astro front matter. */
const NAMED = /^(?:---\n)?(?:\/\/|#|<!--) ((?:[\w$@+-][\w$@.+-]*\/)*[\w$@+.-]*\.\w+)(?: -->)?\n/

/** The files of a page, by their paths. */
export function filesOf(page: string): Map<string, string> {
  const text = readFileSync(join(root, 'docs', page), 'utf8')
  const files = new Map<string, string>()
  for (const [, , code = ''] of text.matchAll(FENCE)) {
    const [, path] = NAMED.exec(code) ?? []
    if (path && files.has(path)) throw new Error(`${page} shows ${path} twice`)
    if (path) files.set(path, code)
  }
  return files
}

/** Writes the application of a page into a folder, whose path from the project's root it returns. */
export function writeApp(page: string, more: Record<string, string> = {}): string {
  const folder = `.test-results/pages/${page.replace(/\.md$/, '')}`
  rmSync(join(root, folder), { recursive: true, force: true })
  for (const [path, code] of [...filesOf(page), ...Object.entries(more)]) {
    const file = join(root, folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, code)
  }
  return folder
}
