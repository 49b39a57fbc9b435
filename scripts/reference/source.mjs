/** Reads the public names of every entry, with their docstrings and their source. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root, run } from '../run.mjs'

const read = (path) => readFileSync(join(root, path), 'utf8')

/** The entries of the package, with the file of each: `['sojourn/kv', 'src/stores/kv.ts']`. */
export function entries() {
  const { exports } = JSON.parse(read('package.json'))
  return Object.entries(exports)
    .filter(([, entry]) => entry.types)
    .map(([name, { types }]) => [
      name.replace('.', 'sojourn'),
      types.replace('./dist/', 'src/').replace('.d.ts', '.ts'),
    ])
}

/** What `deno doc` says of files: a list of names, with their declarations, of each. */
export async function documented(files, flags = []) {
  const { code, stdout, output } = await run('deno', ['doc', '--json', ...flags, ...files])
  if (code) throw new Error(output)
  const { nodes } = JSON.parse(stdout)
  return Object.fromEntries(
    Object.entries(nodes).map(([url, node]) => [fileURLToPath(url).slice(root.length), node]),
  )
}

const lines = new Map()

function linesOf(path) {
  if (!lines.has(path)) lines.set(path, readFileSync(path, 'utf8').split('\n'))
  return lines.get(path)
}

const indentOf = (line) => line.search(/\S|$/)

/** The source of a declaration: its lines, up to the next one that is indented as little as its first. */
export function sourceOf({ filename, line, col }) {
  const all = linesOf(fileURLToPath(filename))
  const taken = [all[line].slice(col)]
  const indent = indentOf(all[line])
  for (const next of all.slice(line + 1)) {
    const closes = indentOf(next) === indent && /^\s*[)\]}|&>]/.test(next)
    if (indentOf(next) <= indent && !closes) break
    taken.push(next.slice(indent))
    if (closes && !/[|&({[<]$/.test(next.trim()) && !/^[|&]/.test(next.trim())) break
  }
  return taken.join('\n').trim()
}

/** The signature of a function: its source up to its body. */
export function signatureOf(location) {
  const source = sourceOf(location)
  const [head] = source.split(/ \{\n(?= {2,}\S)(?! {2,}[\w'"~]+\??: )/)
  return head
    .replace(/ \{$/, '')
    .replace(/^export (async )?/, '')
    .trim()
}

/** Source on one line, without comments and what ends it. */
export const onOneLine = (source) =>
  source
    .replaceAll(/\/\*[\s\S]*?\*\/|\/\/ .*/g, '')
    .replaceAll(/([^\s{,;(|&])\s*\n\s*(?=(?:readonly )?[\w'"~]+\??[:(])/g, '$1; ')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/([([<]) | (?=[)\]>])/g, '$1')
    .replaceAll(/,(?=[)\]>])/g, '')
    .replace(/[,;]$/, '')
    .trim()
