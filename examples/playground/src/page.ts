/** The one page of the playground. */
import type { Session } from 'sojourn'
import type { Observed } from './probe.ts'
import { STYLE } from './style.ts'
import type { Data } from './worker.ts'

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const html = (text: unknown): string => String(text).replace(/[&<>"']/g, (c) => ESCAPES[c] ?? c)
const time = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').slice(0, 19)

const ITEMS = ['Tent', 'Lantern', 'Rope', 'Map']

const button = (path: string, label: string, fields = '', kind = ''): string =>
  `<form method="post" action="${path}">${fields}<button class="${kind}">${label}</button></form>`

const hidden = (name: string, value: unknown): string =>
  `<input type="hidden" name="${name}" value="${html(value)}">`

function account(session: Session<Data>): string {
  if (session.subject !== null) {
    return `<p class="who"><span class="dot"></span>Signed in as <strong id="user">${html(session.subject)}</strong></p>
      <div class="row">${button('/sign-out', 'Sign out')}${button('/regenerate', 'Regenerate id', '', 'plain')}</div>`
  }
  return `<form method="post" action="/sign-in" class="stack">
      <label for="name">Your name</label>
      <input id="name" name="name" required maxlength="40" autocomplete="username" placeholder="Ada">
      <label class="check"><input type="checkbox" name="remember"> Remember me when the browser closes</label>
      <button>Sign in</button>
    </form>`
}

function cart(session: Session<Data>): string {
  const items = session.get('cart') ?? []
  const list = items.map(
    (item, i) =>
      `<li><span>${html(item)}</span>${button('/cart/remove', 'Remove', hidden('at', i), 'small plain')}</li>`,
  )
  return `<div class="row">${ITEMS.map((item) => button('/cart/add', `+ ${item}`, hidden('item', item), 'plain')).join('')}</div>
    <ul id="cart">${list.join('') || '<li class="empty">Nothing yet</li>'}</ul>`
}

function facts(session: Session<Data>, cookie: string | null): string {
  const size = cookie ? new TextEncoder().encode(cookie).length : 0
  const rows: [string, unknown, string?][] = [
    ['Status', session.status, 'status'],
    ['Cookie sent', size ? `${size} bytes` : 'none', 'size'],
    ['Session id', session.id, 'id'],
    ['Created', time(session.createdAt)],
    ['Expires', time(session.expiresAt)],
    [
      'Signed in at',
      session.authenticatedAt === null ? 'not signed in' : time(session.authenticatedAt),
    ],
  ]
  const row = ([name, value, id]: [string, unknown, string?]): string =>
    `<div><dt>${name}</dt><dd${id ? ` id="${id}"` : ''}>${html(value)}</dd></div>`
  return `<dl>${rows.map(row).join('')}</dl>`
}

function request({ request, events, cryptoCalls, setCookie }: Observed): string {
  const calls = `${cryptoCalls} crypto ${cryptoCalls === 1 ? 'call' : 'calls'}`
  const types = events.map(({ type }) => `<li>${html(type)}</li>`).join('')
  return `<li><p><code>${html(request)}</code><span>${calls}</span><span>${setCookie ? 'Set-Cookie' : 'no cookie set'}</span></p>
    ${types ? `<ul>${types}</ul>` : ''}</li>`
}

/** Renders the page for one session. `notice`: the flash message that the last action left. */
export function renderPage(
  session: Session<Data>,
  notice: unknown,
  cookie: string | null,
  requests: readonly Observed[],
): string {
  const [, ...before] = requests
  const opened = { subject: session.subject, data: session.data }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sojourn playground</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>Sojourn</h1><p>Everything below lives in one encrypted cookie.</p></header>
${notice ? `<p class="notice" role="status" id="notice">${html(notice)}</p>` : ''}
${session.status === 'invalid' ? '<p class="notice bad" role="alert">That cookie was not sealed here, so it opens to nothing.</p>' : ''}
<main>
  <section class="app" aria-label="The application">
    <article><h2>Account</h2>${account(session)}</article>
    <article><h2>Cart</h2>${cart(session)}</article>
    <article><h2>Counter</h2><div class="counter"><output id="count">${html(session.get('count') ?? 0)}</output>${button('/count', 'Count')}</div></article>
  </section>
  <section class="under" aria-label="What Sojourn did">
    <article><h2>This session</h2>${facts(session, cookie)}
      ${button('/tamper', 'Tamper with the cookie', '', 'plain danger')}</article>
    <article><h2>The cookie, opened</h2><pre id="opened">${html(JSON.stringify(opened, null, 2))}</pre></article>
    <article><h2>Requests before this one</h2><ol id="requests">${before.map(request).join('') || '<li class="empty">None yet</li>'}</ol></article>
  </section>
</main>
</body>
</html>`
}
