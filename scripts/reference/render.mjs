/** Writes a page for every entry. */
import { onOneLine, signatureOf, sourceOf } from './source.mjs'

export const HEAD = '<!-- Written by scripts/reference.mjs from the docstrings; do not edit. -->'

/** The file of an entry in docs/reference/. */
export const fileOf = (entry) => `${entry.replace(/^sojourn\/?/, '') || 'sojourn'}.md`

/** GitHub's anchor of a heading. */
const anchorOf = (name) => name.toLowerCase().replaceAll(/[^\w-]/g, '')

/** A docstring as Markdown: its links lead to the page of what they name. */
export function prose(text, home, page) {
  const web = /\{@link (https?:[^}\s]+) ([^}]*)\}/g
  const linked = (text ?? '')
    .replaceAll(web, '[$2]($1)')
    .replaceAll(/\{@link ([^}\s|]+)[^}]*\}/g, (_, target) => {
      const [name] = target.replace('#', '.').split('.')
      const file = home.get(name)
      if (!file) return `\`${target}\``
      return `[\`${target}\`](${file === page ? '' : file}#${anchorOf(name)})`
    })
  return linked
    .split(/(`[^`]*`)/)
    .map((part, i) => (i % 2 ? part : part.replaceAll('<', '&lt;')))
    .join('')
    .trim()
}

const indented = (text) => text.replaceAll(/\n(?=.)/g, '\n  ')

/** Everything that a docstring says: its text, and its tags as a list. */
function told(jsDoc, home, page) {
  const tags = jsDoc?.tags ?? []
  const items = tags.flatMap(({ kind, name, doc }) => {
    const text = indented(prose(doc, home, page))
    if (kind === 'param') return [`- \`${name}\`: ${text}`]
    if (kind === 'return') return [`- Returns ${text}`]
    if (kind === 'throws') return [`- Throws ${text}`]
    return []
  })
  const examples = tags
    .filter(({ kind }) => kind === 'example')
    .map(({ doc }) => (doc.includes('```') ? doc.trim() : `\`\`\`ts\n${doc.trim()}\n\`\`\``))
  return [prose(jsDoc?.doc, home, page), items.join('\n'), ...examples].filter(Boolean)
}

/** One member of an interface or a class, as an item of a list. */
function member({ jsDoc, location, isMethod }, home, page) {
  const source = isMethod ? signatureOf(location) : sourceOf(location)
  const code = onOneLine(source.replace(/^(override |readonly |public )+/, ''))
  const text = told(jsDoc, home, page)
    .join('\n\n')
    .replaceAll(/\n(?=.)/g, '\n  ')
  return `- \`${code}\`${text ? `\n\n  ${text}` : ''}`
}

/** The members of an interface or a class, in the order of the source. */
function membersOf({ properties = [], methods = [], callSignatures = [] }) {
  const called = [...methods, ...callSignatures].map((one) => ({ ...one, isMethod: true }))
  return [...properties, ...called]
    .filter(({ accessibility, name }) => accessibility !== 'private' && !name?.startsWith('#'))
    .sort((a, b) => a.location.byteIndex - b.location.byteIndex)
}

const block = (code) => `\`\`\`ts\n${code}\n\`\`\``

/** The head of an interface or a class, without its members. */
const headOf = (location) =>
  onOneLine(
    sourceOf(location)
      .split(/ \{\n| \{\}$/)[0]
      .replace(/^export /, ''),
  )

function declared({ kind, location, def, jsDoc }, home, page) {
  const text = told(jsDoc, home, page)
  if (kind === 'interface' || kind === 'class') {
    const members = membersOf(def).map((one) => member(one, home, page))
    return [block(headOf(location)), ...text, members.join('\n')]
  }
  if (kind === 'function') return [block(signatureOf(location)), ...text]
  return [block(sourceOf(location).replace(/^export /, '')), ...text]
}

/** One public name: a heading, and all its declarations. */
const section = ({ name, declarations }, home, page) =>
  [`## ${name}`, ...declarations.flatMap((one) => declared(one, home, page))]
    .filter(Boolean)
    .join('\n\n')

/** Functions and classes come first: the rest is what they take and give. */
const rankOf = ({ declarations: [{ kind }] }) => (/^(function|class)$/.test(kind) ? 0 : 1)

/** The place of a declaration in the source: two entries may export different things of one name. */
export const placeOf = ([{ location }]) => `${location.filename}:${location.line}`

/** The page of an entry. */
export function pageOf(entry, { module_doc: module, symbols }, homes, places) {
  const page = fileOf(entry)
  const isOther = ({ name, declarations }) =>
    declarations[0].kind !== 'reference' && placeOf(declarations) !== places.get(name)
  const own = symbols
    .filter((one) => homes.get(one.name) === page || isOther(one))
    .sort((a, b) => rankOf(a) - rankOf(b))
  // What is on this page is meant by it, whatever others call so.
  const home = new Map([...homes, ...own.map(({ name }) => [name, page])])
  const others = symbols
    .filter((one) => !own.includes(one))
    .map(({ name }) => `[\`${name}\`](${home.get(name)}#${anchorOf(name)})`)
  const parts = [
    `# ${entry}`,
    ...told(module, home, page),
    ...own.map((one) => section(one, home, page)),
    others.length ? `## Also exported\n\n${others.join(', ')}.` : '',
  ]
  const [title, first, ...more] = parts.filter(Boolean)
  return `${[title, first, HEAD, ...more].join('\n\n')}\n`
}
