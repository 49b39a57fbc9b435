/** Puts what was given over `defaults`, later ones first; `undefined` means "not given". */
export function withDefaults<T extends object>(
  defaults: T,
  ...given: readonly (object | undefined)[]
): T {
  const settings = { ...defaults } as Record<string, unknown>
  for (const options of given) {
    for (const [name, value] of Object.entries(options ?? {})) {
      if (value !== undefined) settings[name] = value
    }
  }
  return settings as T
}

/** Refuses an option that nobody knows: most likely it is misspelt. */
export function refuseUnknown(where: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new TypeError(`${where}: unknown option "${unknown}", expected one of ${known.join(', ')}`)
}
