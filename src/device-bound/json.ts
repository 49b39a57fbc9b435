/** JSON objects that mean one thing: valid UTF-8, and no name twice. */
import { isObject } from '../check.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** The strings of a valid JSON text, with the colon behind a name, and the braces around objects. */
const TOKENS = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g

/** Parses an object; `null` for anything else, and for one in which a name stands twice, at any depth. */
export function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const text = decoder.decode(bytes)
    const value: unknown = JSON.parse(text)
    const isPlain = isObject(value) && !Array.isArray(value)
    return isPlain && !hasDuplicates(text) ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** Tells whether an object in a valid JSON text has a name twice, of which `JSON.parse` takes the last. */
function hasDuplicates(text: string): boolean {
  const objects: Set<string>[] = []
  for (const [token, colon] of text.matchAll(TOKENS)) {
    if (token === '{') objects.push(new Set())
    else if (token === '}') objects.pop()
    else if (colon) {
      const names = objects.at(-1)!
      // Escapes may spell one name in several ways.
      const name: string = JSON.parse(token.slice(0, -colon.length))
      if (names.has(name)) return true
      names.add(name)
    }
  }
  return false
}
