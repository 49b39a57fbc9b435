/** The form of a page: where it is sent, and its hidden fields, among them a CSRF token. */

/** A form that is filled in. */
export interface FilledForm {
  readonly action: URL
  /** As `name=ada&_csrf=...`. */
  readonly fields: string
}

const ATTRIBUTES = `((?:"[^"]*"|'[^']*'|[^"'>])*)`
const INPUT = new RegExp(`<input\\b${ATTRIBUTES}>`, 'gi')
const ATTRIBUTE = /([^\s"'=/]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/g
const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  quot: '"',
  apos: "'",
  lt: '<',
  gt: '>',
}

/**
 * Finds the form of a page that has a field of the same name as the first one that is given, and puts the hidden fields of
 * it beside those that are given.
 *
 * @returns `null` where there is no such form, or it is sent to another site.
 */
export function fillForm(html: string, given: string, page: URL): FilledForm | null {
  const fields = new URLSearchParams(given)
  const [first] = fields.keys()
  for (const part of html.split(/<form\b/i).slice(1)) {
    const [form = ''] = part.split(/<\/form\b/i, 1)
    const inputs = [...form.matchAll(INPUT)].map(([, text = '']) => attributesOf(text))
    if (!inputs.some(({ name }) => name === first)) continue
    const { action = '' } = attributesOf(form.slice(0, form.search(/<|$/)))
    if (!URL.canParse(action, page.href)) continue
    const address = new URL(action, page)
    if (address.origin !== page.origin) continue
    for (const { name, type, value = '' } of inputs) {
      if (type?.toLowerCase() === 'hidden' && name && !fields.has(name)) fields.set(name, value)
    }
    return { action: address, fields: String(fields) }
  }
  return null
}

function attributesOf(text: string): Record<string, string | undefined> {
  const all = [...text.matchAll(ATTRIBUTE)]
  return Object.fromEntries(
    all.map(([, name = '', ...values]) => [
      name.toLowerCase(),
      withoutEntities(values.find((one) => one !== undefined) ?? ''),
    ]),
  )
}

/** Replaces the entities that templates write in attributes. */
function withoutEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,6})|#x([\da-f]{1,5})|(\w+));/gi, (all, decimal, hex, name) => {
    if (name) return ENTITIES[name] ?? all
    return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16))
  })
}
