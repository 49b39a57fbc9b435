/** Reads the documents of the project: they are pages of the site as they are. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path/posix'
import { fileURLToPath } from 'node:url'

/** The folder of the project; builds run in the folder of the site. */
export const root = fileURLToPath(new URL('..', `file://${process.cwd()}/`))

/** A Markdown file of the project. */
export interface Document {
  /** Its path in the project: `docs/guides/testing.md`. */
  readonly path: string
  /** Its address, without slashes around it: `guides/testing`; empty for the home page. */
  readonly slug: string
  readonly title: string
  /** Its first paragraph, as plain text. */
  readonly description: string
  /** Everything behind the title. */
  readonly body: string
}

/** A section of the table of contents, with the paths of its documents. */
export interface Section {
  readonly title: string
  readonly paths: readonly string[]
}

const CONTENTS = 'docs/README.md'
const HOME = 'README.md'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Reads the table of contents: what is listed there is what the site has. */
export function sections(): Section[] {
  const [, ...chapters] = read(CONTENTS).split(/^## /m)
  return chapters.map((chapter) => ({
    title: chapter.slice(0, chapter.indexOf('\n')).trim(),
    paths: [...chapter.matchAll(/^- \[[^\]]*\]\(([^)]+\.md)\)/gm)].map(([, link = '']) =>
      join('docs', link),
    ),
  }))
}

/** Every document of the site: the home page, the table of contents, and what is listed there. */
export const documents = (): Document[] =>
  [HOME, CONTENTS, ...sections().flatMap(({ paths }) => paths)].map((path) => documentOf(path))

function documentOf(path: string): Document {
  const text = read(path)
  const title = /^# (.*)\n/.exec(text)?.[1]
  if (!title) throw new Error(`${path} does not begin with "# " and its title`)
  const body = text.slice(text.indexOf('\n') + 1).trimStart()
  return { path, slug: slugOf(path), title, description: firstParagraph(body), body }
}

/** The address of a document. */
function slugOf(path: string): string {
  if (path === HOME) return ''
  if (path === CONTENTS) return 'contents'
  return path
    .replace(/^docs\//, '')
    .replace(/(\/index)?\.md$/, '')
    .toLowerCase()
}

function firstParagraph(body: string): string {
  const paragraphs = body.replaceAll(/<!--[\s\S]*?-->/g, '').split(/\n\s*\n/)
  const first = paragraphs.find((text) => /^\s*[\w"'`*]/.test(text)) ?? ''
  return first
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/[`*]/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** Replaces the links to other documents of the project; `to` gives the new one. Code stays as it is. */
export function withLinks(path: string, text: string, to: (slug: string) => string): string {
  const known = new Set([HOME, CONTENTS, ...sections().flatMap(({ paths }) => paths)])
  const code = /(^( *)(?:```|~~~)[\s\S]*?^\2(?:```|~~~)$|`[^`\n]+`)/gm
  const link = /(\]\()([^)\s#:]+\.md)(#[^)\s]*)?(?=\))/g
  const replaced = (prose: string): string =>
    prose.replaceAll(link, (_, before: string, target: string, hash = '') => {
      const file = join(path, '..', target)
      if (!known.has(file)) throw new Error(`${path} links to ${target}, which is no page`)
      return `${before}${to(slugOf(file))}${hash}`
    })
  let result = ''
  let end = 0
  for (const match of text.matchAll(code)) {
    result += replaced(text.slice(end, match.index)) + match[0]
    end = match.index + match[0].length
  }
  return result + replaced(text.slice(end))
}

/** The page of a document. */
export const pageOf = (slug: string): string => (slug ? `/${slug}/` : '/')

/** The Markdown of a document. */
export const markdownOf = (slug: string): string => `/${slug || 'index'}.md`

/** A document as Markdown whose links lead to Markdown. */
export const toMarkdown = ({ path, title, body }: Document): string =>
  withLinks(path, `# ${title}\n\n${body}`, markdownOf)

/** The table of contents in the form of llms.txt: a title, a summary, and lists of links. */
export function toLlmsText(): string {
  const { body } = documentOf(CONTENTS)
  const [intro = '', ...chapters] = body.split(/^(?=## )/m)
  const summary = intro.trim().replaceAll(/^/gm, '> ')
  const home = `- [Sojourn](${relative('docs', HOME)}): what it is, and a Worker to start from\n`
  const [first = '', ...others] = chapters
  const all = [first.replace('\n\n', `\n\n${home}`), ...others].join('')
  return withLinks(CONTENTS, `# Sojourn\n\n${summary}\n\n${all}`, markdownOf)
}
