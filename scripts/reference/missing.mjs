/** Finds public names without a docstring, and options that do not say what happens without them. */

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
