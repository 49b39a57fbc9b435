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
