/** The session cookie in the answers of a site. */
import { parseToken } from '../../crypto/token.ts'
import type { Hop, Visit } from './visit.ts'

/** A `Set-Cookie` value taken apart. */
export interface SetCookie {
  readonly name: string
  readonly value: string
  /** By lower-case name. */
  readonly attributes: ReadonlyMap<string, string>
  readonly hop: Hop
}

/** Returns every `Set-Cookie` of a visit. */
export function setCookiesOf({ hops }: Visit): SetCookie[] {
  return hops.flatMap((hop) =>
    hop.response.headers.getSetCookie().map((header) => ({ ...parse(header), hop })),
  )
}

/** Tells whether a cookie looks like a session of ours, whatever its name: its first chunk, for a large one. */
export function isOurs({ value }: SetCookie): boolean {
  return parseToken(value) !== null || /^[2-4]\.AQ[\w-]{40,}$/.test(value)
}

/** Tells whether a value removes its cookie. */
export function isRemoval({ attributes, value }: SetCookie): boolean {
  return value === '' || Number(attributes.get('max-age') ?? 1) <= 0
}

function parse(header: string): Omit<SetCookie, 'hop'> {
  const [pair = '', ...rest] = header.split(';')
  const [name, value] = halves(pair)
  const attributes = rest.map((one) => halves(one)).map(([key, text]) => [key.toLowerCase(), text])
  return { name, value, attributes: new Map(attributes as [string, string][]) }
}

function halves(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
