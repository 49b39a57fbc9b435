/** The cookie that somebody pasted: a value, a `Cookie` header, or a line of a browser or of curl. */
import { isToken } from '../../check.ts'
import { parseToken } from '../../crypto/token.ts'

/** The pasted text as a header, and what it seems to be where there is no session in it. */
export interface Input {
  /** The `Cookie` header, or that of the transport. */
  readonly header: string
  /** A sentence about cookies that are not ours. */
  readonly hint?: string
}

/** Cookies of other libraries, by their looks. */
const FOREIGN: readonly (readonly [pattern: RegExp, whose: string])[] = [
  [/Fe26\.2\*/, 'iron-session, h3 or Nuxt'],
  [/(^|[=\s])s(%3A|:)[^.\s;]+\.[\w%+/-]{20,}/i, 'express-session'],
  [/(^|[=\s])eyJ[\w-]*\.[\w-]*\.[\w-]*/, 'a library that uses JWT, such as Auth.js'],
  [/(^|[=\s])eyJ[\w%+/=-]*/, 'cookie-session, or another one that stores JSON'],
]

/** Makes a header of what was pasted. `name`: that of the cookie; `undefined`: the token travels in a header of its own. */
export function readInput(text: string, name: string | undefined): Input {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const named = lines.flatMap((line) => /^[<>]?\s*(?:set-)?cookie:\s*(.*)$/i.exec(line)?.[1] ?? [])
  const plain = (named.length ? named : lines.filter(Boolean)).join('; ')
  if (name === undefined) return { header: plain.replace(/^[\w-]+:\s+/, '') }
  const unquoted = plain.replace(/^(["'])(.*)\1$/, '$2')
  const isHeader = /^[^\s=;]+=[^=;\s]/.test(unquoted)
  return { header: isHeader ? unquoted : `${name}=${unquoted}`, ...hintOf(unquoted, name) }
}

function hintOf(text: string, name: string): Pick<Input, 'hint'> {
  if (text.startsWith(`${name}=`) || text.includes(` ${name}=`)) return foreign(text)
  const other = text
    .split(';')
    .map((pair) => pair.trim().split('=', 2) as [string, string?])
    .find(([key, value = '']) => isToken(key) && parseToken(value.replace(/^[2-4]\./, '')))
  if (!other) return foreign(text)
  const base = other[0].replace(/\.([nd][\w-]{4}|[1-3])$/, '')
  return {
    hint: `A cookie of the name ${base} looks like a session of ours: is the application's cookie called so (--cookie ${base}, or SESSION_COOKIE_NAME)`,
  }
}

function foreign(text: string): Pick<Input, 'hint'> {
  const whose = FOREIGN.find(([pattern]) => pattern.test(text))?.[1]
  if (!whose) return {}
  return {
    hint: `It looks like a cookie of ${whose}: sojourn/migrate takes over the sessions of other libraries (docs/migrating.md)`,
  }
}
