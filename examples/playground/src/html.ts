/** HTML as text. */

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Makes text harmless in HTML. */
export const html = (text: unknown): string =>
  String(text).replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character)

/** What a form sends besides its button. */
export type Fields = Readonly<Record<string, unknown>>

/** The id by which the script of the page finds what had the focus. */
const idOf = (...parts: readonly unknown[]): string =>
  parts
    .join(' ')
    .replace(/[^\w]+/g, '-')
    .replace(/^-/, '')

/** Options of {@link button}. */
export interface ButtonOptions {
  readonly fields?: Fields
  readonly kind?: string
  readonly disabled?: boolean
  /** For screen readers, where the label alone says too little. */
  readonly title?: string
}

/** A button that posts. */
export function button(path: string, label: string, options: ButtonOptions = {}): string {
  const { disabled = false, fields = {}, kind = '', title } = options
  const inputs = Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${html(value)}">`)
    .join('')
  const more = `${disabled ? ' disabled' : ''}${title ? ` aria-label="${html(title)}"` : ''}`
  const id = idOf(path, ...Object.values(fields))
  return `<form method="post" action="${path}">${inputs}<button id="${id}" class="${kind}"${more}>${html(label)}</button></form>`
}

/** A row of buttons of which one is pressed. */
export function choice(
  path: string,
  label: string,
  values: readonly (readonly [value: unknown, label: string])[],
  now: unknown,
  disabled = false,
): string {
  const buttons = values.map(
    ([value, label]) =>
      `<button name="value" value="${html(value)}" id="${idOf(path, value)}" class="plain" aria-pressed="${value === now}"${disabled ? ' disabled' : ''}>${html(label)}</button>`,
  )
  return `<form method="post" action="${path}"><div class="choice" role="group" aria-label="${html(label)}">${buttons.join('')}</div></form>`
}

/** A list of terms. */
export const terms = (rows: readonly (readonly [string, string])[]): string =>
  `<dl>${rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>`

/** The part of a page that the script replaces when it has changed. */
export const part = (id: string, content: string, more = ''): string =>
  `<div id="${id}" data-part ${more}>${content}</div>`
