/**
 * Writes docs/reference/ from the docstrings: `node scripts/reference.mjs`. With `--check` it writes
 * nothing, and prints what is out of date and what nobody has documented.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { commandLinePage } from './reference/command-line.mjs'
import { EVENT_FILES, eventsPage } from './reference/events.mjs'
import { limitsPage } from './reference/limits.mjs'
import { missing, wrongDefaults } from './reference/missing.mjs'
import { fileOf, pageOf, placeOf, prose } from './reference/render.mjs'
import { documented, entries } from './reference/source.mjs'
import { root } from './run.mjs'

const folder = join(root, 'docs', 'reference')
const check = process.argv.includes('--check')

const all = entries()
const nodes = await documented(all.map(([, file]) => file))

/** The page of each public name: of the entry whose file declares it, else of the first that exports it. */
const home = new Map()
/** The place in the source of what `home` has the page of. */
const places = new Map()
for (const isOwn of [true, false]) {
  for (const [entry, file] of all) {
    for (const { name, declarations } of nodes[file].symbols) {
      const declaredHere = declarations[0].location.filename.endsWith(`/${file}`)
      if (declarations[0].kind === 'reference') continue
      if (home.has(name) || !(declaredHere || !isOwn)) continue
      home.set(name, fileOf(entry))
      places.set(name, placeOf(declarations))
    }
  }
}

const pages = new Map(
  all.map(([entry, file]) => [fileOf(entry), pageOf(entry, nodes[file], home, places)]),
)
pages.set('events.md', `${eventsPage(await documented(EVENT_FILES, ['--private']), home)}\n`)
pages.set('limits.md', limitsPage())
pages.set('command-line.md', `${await commandLinePage()}\n`)
pages.set('../README.md', contents())
const old = existsSync(folder) ? readdirSync(folder) : []
const stale = [
  ...old.filter((name) => !pages.has(name)),
  ...[...pages].filter(([name, text]) => textOf(name) !== text).map(([name]) => name),
]

function textOf(name) {
  const file = join(folder, name)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/** The table of contents, with the pages of this script in its section. */
function contents() {
  const items = all.map(([entry, file]) => {
    const [sentence] = prose(nodes[file].module_doc.doc, home, '').split(/(?<=\.)\s/)
    const text = sentence.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('\n', ' ')
    return [entry, fileOf(entry), text.replace(/\.$/, '')]
  })
  items.push(['Events', 'events.md', 'every type, its level and its properties'])
  items.push(['The command line', 'command-line.md', 'every command, with its options'])
  items.push(['Limits', 'limits.md', 'those that no option changes'])
  const list = items.map(([title, file, text]) => `- [${title}](reference/${file}): ${text}\n`)
  const text = readFileSync(join(folder, '../README.md'), 'utf8')
  const [before, after] = text.split(/^## Reference\n[^#]*/m)
  return `${before}## Reference\n\n${list.join('')}${after ? `\n${after}` : ''}`
}

if (check) {
  for (const name of stale) console.log(`docs/reference/${name}: run node scripts/reference.mjs`)
  for (const name of missing(nodes))
    console.log(`${name} has no docstring, or does not say its default`)
  for (const name of wrongDefaults(nodes)) console.log(`${name} has another default in its rule`)
} else {
  mkdirSync(folder, { recursive: true })
  for (const name of old.filter((one) => !pages.has(one))) rmSync(join(folder, name))
  for (const [name, text] of pages) writeFileSync(join(folder, name), text)
  console.log(`${pages.size} pages, ${stale.length} changed`)
}
