/** Finds public names without a docstring, options that do not say what happens without them, and defaults that are not so. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Interfaces whose every member is documented: what an application calls. */
const COMPLETE = /Options$|^(Session|Sessions|Controls|ResilientPolicy|RetryPolicy)$/

export function missing(nodes) {
  const found = Object.values(nodes).flatMap(({ symbols }) => symbols.flatMap(ofSymbol))
  return [...new Set(found)]
}

function ofSymbol({ name, declarations }) {
  const isTold = declarations.some(({ kind, jsDoc }) => jsDoc?.doc || kind === 'reference')
  const options = /Options$/.test(name)
  const members = COMPLETE.test(name) ? declarations.flatMap(membersOf) : []
  return [
    ...(isTold ? [] : [name]),
    ...members.filter((one) => !isComplete(one, options)).map((one) => `${name}.${one.name}`),
  ]
}

function membersOf({ def }) {
  const literal = def.tsType?.kind === 'typeLiteral' ? def.tsType.value : {}
  return [def, literal].flatMap(({ properties = [], methods = [] }) => [...properties, ...methods])
}

/** A callback that is left out is not called. */
const isComplete = ({ name, jsDoc, optional }, isOption) =>
  Boolean(jsDoc?.doc) &&
  (!isOption || !optional || /\bdefault\b/.test(jsDoc.doc) || /^on[A-Z]/.test(name))

/** Options whose docstring says another default than the rule that checks them, in the same file or in `resolve-<file>`. */
export function wrongDefaults(nodes) {
  const found = Object.values(nodes).flatMap(({ symbols }) =>
    symbols.flatMap(({ name, declarations }) =>
      declarations.flatMap((one) => differing(name, one, /(Options|Policy)$/.test(name))),
    ),
  )
  return [...new Set(found)]
}

function differing(name, declaration, isOptions) {
  if (!isOptions) return []
  const source = sourceOf(fileURLToPath(declaration.location.filename))
  return membersOf(declaration).flatMap((member) => {
    const rule = new RegExp(`\\b${member.name}: (?:number|integer|word|flag)Rule\\(([^,)]+)`)
    const [, given] = rule.exec(source) ?? []
    const [, told] = /.*\(default: ([^)]*)/s.exec(member.jsDoc?.doc ?? '') ?? []
    const isKnown = member.optional && /^('[\w-]+'|[\d_* ]+|true|false)$/.test(given)
    return !isKnown || valueOfRule(given) === valueTold(told) ? [] : [`${name}.${member.name}`]
  })
}

function sourceOf(file) {
  const rules = join(dirname(file), `resolve-${basename(file)}`)
  return [file, rules].map((one) => (existsSync(one) ? readFileSync(one, 'utf8') : '')).join('')
}

const digits = (text) => text.replaceAll(/(\d)[_,](?=\d)/g, '$1')

function valueOfRule(text) {
  if (!/^\d/.test(text)) return text.replaceAll("'", '')
  return String(
    digits(text)
      .split('*')
      .reduce((product, factor) => product * Number(factor), 1),
  )
}

function valueTold(text = '') {
  const [value, unit] = digits(text.replaceAll(/[`']/g, '')).split(/[ ;,]/)
  return unit === 'MiB' ? String(Number(value) * 1024 * 1024) : value
}
