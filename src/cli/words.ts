/** Times, sizes and names in words. */

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** Spells a number of things: `1 session`, `2,000 sessions`. */
export function count(number: number, what: string): string {
  return `${number.toLocaleString('en-US')} ${what}${number === 1 ? '' : 's'}`
}

/** Spells a duration in its two largest units: `2 days 3 hours`. */
export function duration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds))
  const parts: string[] = []
  for (const [unit, length] of UNITS) {
    const number = Math.floor(rest / length)
    rest -= number * length
    if (number) parts.push(count(number, unit))
    else if (parts.length) break
    if (parts.length === 2) break
  }
  return parts.join(' ') || '0 seconds'
}

/** Spells a time, epoch milliseconds, as its distance from `now`: `5 minutes ago`, `in 2 days`. */
export function distance(time: number, now: number): string {
  const seconds = Math.round((time - now) / 1000)
  if (!seconds) return 'now'
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`
}

export function size(bytes: number): string {
  if (bytes < 10_000) return count(bytes, 'byte')
  const isLarge = bytes >= 1_000_000
  const number = bytes / (isLarge ? 1_000_000 : 1000)
  return `${number.toLocaleString('en-US', { maximumFractionDigits: 1 })} ${isLarge ? 'MB' : 'kB'}`
}

/** Characters that steer a terminal, or reorder what it shows. */
const STEERING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Makes a text harmless for a terminal: control characters and what reorders text are replaced. */
export function plain(text: string): string {
  return text.replace(STEERING, '?')
}

/** Spells a line of JSON that is harmless for a terminal: such characters are escaped, which JSON itself does for a few only. */
export function jsonLine(value: object): string {
  const spell = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  const text = JSON.stringify(value).replace(STEERING, (all) => all.split('').map(spell).join(''))
  return `${text}\n`
}

/** Ends a sentence with a period, unless it ends with something else. */
export function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`
}

const WIDTH = 90

/** Breaks a text into lines of at most 90 characters, at blanks. */
export function wrap(text: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1]!
    if (last && last.length + word.length >= WIDTH) lines.push(word)
    else lines[lines.length - 1] = last ? `${last} ${word}` : word
  }
  return lines.join('\n')
}

/** Lays rows out in columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, i) => Math.max(cell.length, all[i] ?? 0)),
    [],
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i]! + 2) : cell))
      .join('')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}
