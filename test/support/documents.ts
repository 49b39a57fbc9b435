import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Reads a file of the project. */
export const read = (path: string): string => readFileSync(root + path, 'utf8')

/** A fenced block of a document. */
export interface Block {
  readonly language: string
  /** The file it stands for: its first line is a comment with a path, `// app/session.ts`. */
  readonly title: string | undefined
  readonly code: string
  readonly line: number
}

/** Markdown files of a folder and of the folders in it, as paths of the project. */
export function pagesIn(folder: string): string[] {
  const files = readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
  return files
    .filter((path) => path.endsWith('.md'))
    .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
    .sort()
}

/** Every document that a user of the package reads. */
export const documents = (): string[] => [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'ARCHITECTURE.md',
  ...pagesIn('docs'),
]

/** The fenced blocks of a document, in their order, also those inside a list. */
export function blocksOf(path: string): Block[] {
  const text = read(path)
  const fence = /^( *)```(\S+).*\n([\s\S]*?)^\1```$/gm
  return [...text.matchAll(fence)].map((match) => {
    const [, indent = '', language = '', code = ''] = match
    return {
      language,
      title: /^ *\/\/ (\S+\.tsx?)\n/.exec(code)?.[1],
      code: indent ? code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') : code,
      line: text.slice(0, match.index).split('\n').length,
    }
  })
}

/** The targets of a document's links that stay in the project, code left out. */
export function linksOf(path: string): string[] {
  const prose = read(path)
    .replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '')
    .replaceAll(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^(https?|mailto):/.test(link))
}
