/** The one page of the playground. */
import type { HealthReport, Session, SessionEvent, SessionInfo } from 'sojourn'
import { FAULTS, type Fault } from './faults.ts'
import type { Observed } from './probe.ts'
import { REDIS_HINT, STORES, type StoreName } from './stores.ts'
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

/** Whether the store could not say anything of this session. */
const isUnknown = ({ status, subject, data }: Session<Data>): boolean =>
  status === 'degraded' && subject === null && !Object.keys(data).length

function account(session: Session<Data>): string {
  if (isUnknown(session)) return '<p class="hint">Who you are cannot be read now.</p>'
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
    <ul id="cart">${list.join('') || `<li class="empty">${isUnknown(session) ? 'Cannot be read now' : 'Nothing yet'}</li>`}</ul>`
}

function facts(session: Session<Data>, cookie: string | null): string {
  const size = cookie ? new TextEncoder().encode(cookie).length : 0
  const waiting = cookie?.match(/\.d[\w-]{7}=/g)?.length ?? 0
  const rows: [string, unknown, string?][] = [
    ['Status', session.status, 'status'],
    ['Cookie sent', size ? `${size} bytes` : 'none', 'size'],
    [
      'Changes waiting',
      waiting ? `in ${waiting} ${waiting === 1 ? 'cookie' : 'cookies'}` : 'none',
      'waiting',
    ],
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

/** What an event says besides its type. */
function detail(event: SessionEvent): string {
  const { at: _, type, session: __, store: ___, ...rest } = { session: '', store: '', ...event }
  const words = Object.entries(rest).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value) : value}`,
  )
  return words.length ? `${type}: ${words.join(', ')}` : type
}

const calls = (count: number, kind: string): string =>
  `<span>${count} ${kind} ${count === 1 ? 'call' : 'calls'}</span>`

function request({ request, events, setCookie, status, ...counts }: Observed): string {
  const made = calls(counts.storeCalls, 'store') + calls(counts.cryptoCalls, 'crypto')
  const types = events.map((event) => `<li>${html(detail(event))}</li>`).join('')
  const cookieSet = `<span>${setCookie ? 'Set-Cookie' : 'no cookie set'}</span>`
  const facts = status ? `<span>${status}</span>${made}${cookieSet}` : '<span>this page</span>'
  return `<li><p><code>${html(request)}</code>${facts}</p>
    ${types ? `<ul>${types}</ul>` : ''}</li>`
}

/** Two requests of one browser at the same time. */
const TWICE = `Promise.all([1, 2].map(() =>
  fetch('/count', { method: 'POST', body: new URLSearchParams(), redirect: 'manual' })
)).then(() => location.replace('/'))`

/** A row of buttons of which one is pressed. */
function choice(path: string, values: readonly (readonly [string, string])[], now: string): string {
  const one = ([value, label]: readonly [string, string]): string =>
    `<button name="value" value="${html(value)}" class="plain" aria-pressed="${value === now}">${html(label)}</button>`
  return `<form method="post" action="${path}" class="row">${values.map(one).join('')}</form>`
}

function place({ store, configured }: View): string {
  const names = (Object.keys(STORES) as StoreName[]).filter(configured)
  return `${choice(
    '/store',
    names.map((name) => [name, NAMES[name]] as const),
    store,
  )}
    <p class="hint" id="place">${html(STORES[store])}.</p>
    ${configured('redis') ? '' : `<p class="hint">${html(REDIS_HINT)}.</p>`}`
}

const NAMES: Record<StoreName, string> = {
  cookie: 'Cookie',
  memory: 'Memory',
  kv: 'KV',
  'durable-object': 'Durable Object',
  redis: 'Redis',
}

function trouble({ store, snapshot, fault, health }: View): string {
  if (store === 'cookie') return '<p class="hint">A cookie has no store that could fail.</p>'
  const { details = {}, error, latencyMs, ok } = health.store ?? { ok: true, latencyMs: 0 }
  const { breaker, retriesLeft } = details
  return `${choice('/fault', Object.entries(FAULTS), fault)}
    <p class="hint">A switch in this playground: what it breaks is not real, what follows is.</p>
    <dl><div><dt>Health</dt><dd id="health">${ok ? 'ok' : html(error)} (${html(latencyMs)} ms)</dd></div>
    <div><dt>Breaker</dt><dd id="breaker">${html(breaker)}</dd></div>
    <div><dt>Retries left</dt><dd>${html(retriesLeft)}</dd></div></dl>
    ${choice(
      '/snapshot',
      [
        ['off', 'No copy in the cookie'],
        ['on', 'Snapshot in the cookie'],
      ],
      snapshot ? 'on' : 'off',
    )}`
}

function device({ id, label, lastSeenAt }: SessionInfo, mine: string): string {
  const end = button('/devices/sign-out', 'Sign this out', hidden('id', id), 'small plain')
  return `<li><span>${html(label ?? 'Unknown')} <small>seen ${html(time(lastSeenAt))}</small></span>${id === mine ? '<strong>this one</strong>' : end}</li>`
}

function devices({ devices, session, store }: View): string {
  if (!devices.length) {
    const why =
      session.subject !== null && store !== 'cookie'
        ? 'The store cannot be reached, and only it knows your devices.'
        : 'Sign in with a store to see your devices.'
    return `<p class="hint">${why}</p>`
  }
  return `<ul id="devices">${devices.map((one) => device(one, session.id)).join('')}</ul>
    ${button('/devices/sign-out-everywhere', 'Sign out everywhere else', '', 'plain')}`
}

const ALERTS: Partial<Record<Session['status'], string>> = {
  invalid: 'That cookie was not sealed here, so it opens to nothing.',
  superseded: 'This session was ended elsewhere.',
  missing: 'The store does not know this session any more.',
}

function alert(session: Session<Data>): string {
  const { status } = session
  const degraded = isUnknown(session)
    ? 'The store cannot be reached. Nobody is signed out: your session is back as soon as the store is.'
    : 'The store cannot be reached. What you see is an older copy; what you change waits in your browser.'
  const words = status === 'degraded' ? degraded : ALERTS[status]
  return words ? `<p class="notice bad" role="alert" id="alert">${html(words)}</p>` : ''
}

/** What the page shows. */
export interface View {
  readonly session: Session<Data>
  /** The flash message that the last action left. */
  readonly notice: unknown
  readonly cookie: string | null
  readonly requests: readonly Observed[]
  readonly store: StoreName
  readonly snapshot: boolean
  readonly fault: Fault
  readonly configured: (name: StoreName) => boolean
  readonly health: HealthReport
  readonly devices: readonly SessionInfo[]
}

const card = (title: string, content: string): string =>
  `<article><h2>${title}</h2>${content}</article>`

function frame(body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sojourn playground</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>`
}

/** Renders the page for one session. */
export function renderPage(view: View): string {
  const { session, notice, cookie, requests } = view
  const opened = { subject: session.subject, data: session.data }
  const counter = `<div class="counter"><output id="count">${isUnknown(session) ? '–' : html(session.get('count') ?? 0)}</output>
    <div class="row">${button('/count', 'Count')}<button class="plain" onclick="${html(TWICE)}">Count twice at once</button></div></div>
    <p class="hint">As two tabs would. ${view.store === 'cookie' ? 'Without a store the last response wins: it counts to one more.' : 'The slower one finds out and counts on: to two more.'}</p>`
  const log = `<ol id="requests">${requests.map(request).join('')}</ol>`
  return frame(`<header><h1>Sojourn</h1><p>Sessions, and what becomes of them when things go wrong.</p></header>
${notice ? `<p class="notice" role="status" id="notice">${html(notice)}</p>` : ''}
${alert(session)}
<main>
  <section class="app" aria-label="The application">
    ${card('Account', account(session))}
    ${card('Cart', cart(session))}
    ${card('Counter', counter)}
    ${card('Your devices', devices(view))}
  </section>
  <section class="under" aria-label="What Sojourn did">
    ${card('Where sessions live', place(view))}
    ${card('Break the store', trouble(view))}
    ${card('This session', `${facts(session, cookie)}${button('/tamper', 'Tamper with the cookie', '', 'plain danger')}`)}
    ${card('The session, opened', `<pre id="opened">${html(JSON.stringify(opened, null, 2))}</pre>`)}
    ${card('What happened, the latest request first', log)}
  </section>
</main>`)
}

/** Renders what a visitor sees whose change could not be kept. */
export function renderError(seconds: string | null): string {
  return frame(`<main><article><h1>Not now</h1>
    <p id="alert" role="alert">The store cannot be reached, so nothing was changed, and you are still signed in. Try again in ${html(seconds ?? 1)} s.</p>
    <p><a href="/">Back to the playground</a></p></article></main>`)
}
