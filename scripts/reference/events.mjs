/** Writes the page of events: every type, with its level and its properties. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run.mjs'
import { HEAD, prose } from './render.mjs'
import { onOneLine, sourceOf } from './source.mjs'

/** The files whose types make up an event. */
export const EVENT_FILES = ['src/events.ts', 'src/stores/store.ts', 'src/errors.ts']

/** Expands the union of events: one `[types, properties]` of each member. */
function variantsOf(type, named, isPartial = false) {
  const { kind, value } = type
  if (kind === 'parenthesized') return variantsOf(value, named, isPartial)
  if (kind === 'union') return value.flatMap((one) => variantsOf(one, named, isPartial))
  if (kind === 'typeLiteral') return [propertiesOf(value, isPartial)]
  if (kind === 'intersection') {
    const parts = value.map((one) => variantsOf(one, named, isPartial))
    return parts.reduce((all, part) =>
      all.flatMap((left) => part.map((right) => [...left, ...right])),
    )
  }
  if (kind !== 'typeRef') throw new Error(`An event of the kind ${kind}`)
  if (value.typeName === 'Partial') return variantsOf(value.typeParams[0], named, true)
  const { kind: declared, def } = named.get(value.typeName)
  if (declared === 'typeAlias') return variantsOf(def.tsType, named, isPartial)
  const own = propertiesOf(def, isPartial)
  const inherited = (def.extends ?? []).flatMap((one) => variantsOf(one, named, isPartial).flat())
  return [[...own, ...inherited]]
}

const propertiesOf = ({ properties }, isPartial) =>
  properties.map((one) => ({ ...one, optional: one.optional || isPartial }))

/** The names that the property `type` may have. */
function namesOf(type, named) {
  if (type.kind === 'literal') return [type.value.string]
  if (type.kind === 'union') return type.value.flatMap((one) => namesOf(one, named))
  return namesOf(named.get(type.value.typeName).def.tsType, named)
}

/** The text of a property's type, a name of a union replaced by its members. */
function typeOf({ location, name }, named) {
  const source = sourceOf(location)
  const text = onOneLine(source.slice(source.indexOf(':') + 1))
    .split(/;| \}/)[0]
    .trim()
  const alias = named.get(text)
  const isUnion = alias?.kind === 'typeAlias' && alias.def.tsType.kind === 'union'
  if (name === 'code' || !isUnion) return text
  return namesOf(alias.def.tsType, named)
    .map((one) => `'${one}'`)
    .join(' | ')
}

function levels() {
  const source = readFileSync(join(root, 'src/observe/log.ts'), 'utf8')
  const [, table] = /defaultLevels.* = \{([^}]*)\}/.exec(source)
  return new Map(
    [...table.matchAll(/'([\w.-]+)': ('\w+'|false)/g)].map(([, type, level]) => [
      type,
      level.replaceAll("'", ''),
    ]),
  )
}

/** The page, from what `deno doc --private` says of {@link EVENT_FILES}. */
export function eventsPage(nodes, home) {
  const symbols = Object.values(nodes).flatMap((node) => node.symbols)
  const named = new Map(symbols.map(({ name, declarations }) => [name, declarations[0]]))
  const level = levels()
  const events = new Map()
  for (const properties of variantsOf(named.get('SessionEvent').def.tsType, named)) {
    const type = properties.find(({ name }) => name === 'type')
    const rest = properties.filter(({ name }) => name !== 'type' && name !== 'at')
    for (const name of namesOf(type.tsType, named)) events.set(name, rest)
  }
  const sections = [...events].sort().map(([name, properties]) => {
    const shown = level.get(name) === 'false' ? 'off' : level.get(name)
    const items = properties.map((one) => {
      const text = prose(one.jsDoc?.doc, home, 'events.md').replaceAll(/\n(?=.)/g, '\n  ')
      const code = `${one.name}${one.optional ? '?' : ''}: ${typeOf(one, named)}`
      return `- \`${code}\`${text ? `: ${text}` : ''}`
    })
    return `## ${name}\n\nLevel: ${shown}.\n\n${items.join('\n')}`
  })
  return [
    '# Events',
    `${events.size} types of events, with their properties and the level at which \`logEvents\` writes them; \`at\`, in epoch milliseconds, is in all of them.`,
    HEAD,
    'What each of them means, and what to do about it: [Error handling](../error-handling.md#events).',
    ...sections,
  ].join('\n\n')
}
