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
const time = (ms: number): string =>
  `<time datetime="${new Date(ms).toISOString()}">${new Date(ms).toISOString().replace('T', ' ').slice(0, 19)} UTC</time>`

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
      <div class="row">${button('/sign-out', 'Sign out', '', 'plain')}${button('/regenerate', 'Regenerate', '', 'plain')}</div>`
  }
  if (session.status === 'degraded')
    return '<p class="hint">Who you are is known when the store is back.</p>'
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

function facts({ session, cookie, waiting }: View): string {
  const { authenticatedAt, createdAt, expiresAt, id, rotationId, status } = session
  const cookies = waiting === 1 ? 'cookie' : 'cookies'
  const rows = [
    ['Status', `<span class="status ${status}" id="status">${status}</span>`],
    ['Cookie sent', `<span id="size">${cookie ? `${cookie.length} bytes` : 'none'}</span>`],
    [
      'Deferred writes',
      `<span id="waiting">${waiting ? `in ${waiting} ${cookies}` : 'none'}</span>`,
    ],
    ['Session id', `<span id="id">${html(id)}</span>`],
    ['Rotation id', `<span id="rotation">${html(rotationId)}</span>`],
    ['Created', time(createdAt)],
    ['Expires', time(expiresAt)],
    [
      'Signed in',
      authenticatedAt === null ? (status === 'degraded' ? 'unknown' : 'no') : time(authenticatedAt),
    ],
  ]
  return `<dl>${rows.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>`
}

/** The session as the browser holds it, and what is in it. */
function opened({ session, cookie }: View): string {
  const { subject, data } = session
  const sealed = cookie
    ? `<p class="sealed" aria-label="The sealed cookie">${html(cookie)}</p>`
    : ''
  return `${sealed}<pre id="opened">${html(JSON.stringify({ subject, data }, null, 2))}</pre>`
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
    ${configured('redis') ? '' : `<details class="hint"><summary>Redis is missing</summary>${REDIS_HINT}</details>`}`
}

const NAMES: Record<StoreName, string> = {
  cookie: 'Cookie',
  memory: 'Memory',
  kv: 'KV',
  'durable-object': 'Durable Object',
  redis: 'Redis',
}

function trouble({ snapshot, fault, health }: View): string {
  const { details = {}, error, latencyMs, ok } = health.store ?? { ok: true, latencyMs: 0 }
  const { readBreaker, retriesLeft, writeBreaker } = details
  return `${choice('/fault', Object.entries(FAULTS), fault)}
    <p class="hint">A switch in this playground: what it breaks is not real, what follows is.</p>
    <dl><div><dt>Health</dt><dd id="health">${ok ? 'ok' : html(error)} (${html(latencyMs)} ms)</dd></div>
    <div><dt>Breaker of reads</dt><dd>${html(readBreaker)}</dd></div>
    <div><dt>Breaker of writes</dt><dd>${html(writeBreaker)}</dd></div>
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
  return `<li><span>${html(label ?? 'Unknown')} <small>seen ${time(lastSeenAt)}</small></span>${id === mine ? '<strong>this one</strong>' : end}</li>`
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
  superseded:
    'Another request has just replaced the credential of this session: load the page again.',
  missing: 'This session has ended.',
}

function alert(session: Session<Data>): string {
  const { status } = session
  const degraded = isUnknown(session)
    ? 'The store cannot be reached. Nobody is signed out: your session is back as soon as the store is.'
    : 'The store cannot be reached. What you see is an older copy; your browser carries what you change until the store is back.'
  const words = status === 'degraded' ? degraded : ALERTS[status]
  return words ? `<p class="notice bad" role="alert" id="alert">${html(words)}</p>` : ''
}

/** What the page shows. */
export interface View {
  readonly session: Session<Data>
  /** The flash message that the last action left. */
  readonly notice: unknown
  /** Name and value of the session's cookie, as it was sent. */
  readonly cookie: string | null
  /** Cookies in which changes wait for the store. */
  readonly waiting: number
  readonly requests: readonly Observed[]
  readonly store: StoreName
  readonly snapshot: boolean
  readonly fault: Fault
  readonly configured: (name: StoreName) => boolean
  readonly health: HealthReport
  readonly devices: readonly SessionInfo[]
}

const card = (title: string, content: string): string =>
  `<article><h3>${title}</h3>${content}</article>`

function frame(body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sojourn playground</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header><h1>Sojourn</h1><p>Sessions, and what becomes of them when things go wrong.</p></header>
${body}
</body>
</html>`
}

/** Renders the page for one session. */
export function renderPage(view: View): string {
  const { session, notice, requests } = view
  const counter = `<div class="counter"><output id="count">${isUnknown(session) ? '–' : html(session.get('count') ?? 0)}</output>
    <div class="row">${button('/count', 'Count')}<button class="plain" onclick="${html(TWICE)}">Count twice at once</button></div></div>
    <p class="hint">Twice at once is what two tabs do. ${view.store === 'cookie' ? 'Without a store the last response wins: it counts to one more.' : 'Both are added: it counts to two more.'}</p>`
  const log = `<ol id="requests">${requests.map(request).join('')}</ol>`
  return frame(`${notice ? `<p class="notice" role="status" id="notice">${html(notice)}</p>` : ''}
${alert(session)}
<main>
  <section class="app" aria-labelledby="app"><h2 id="app">The application</h2>
    ${card('Account', account(session))}
    ${card('Cart', cart(session))}
    ${card('Counter', counter)}
    ${card('Your devices', devices(view))}
  </section>
  <section class="under" aria-labelledby="under"><h2 id="under">What Sojourn does</h2>
    ${card('Where sessions live', place(view))}
    ${view.store === 'cookie' ? '' : card('Break the store', trouble(view))}
    ${card('This session', `${facts(view)}${button('/tamper', 'Tamper with the cookie', '', 'plain danger')}`)}
    ${card('Sealed, and opened', opened(view))}
    ${card('What happened, the latest request first', log)}
  </section>
</main>`)
}

/** Renders what a visitor sees whose change could not be kept. `seconds`: `null` where the store refused. */
export function renderError(seconds: string | null): string {
  const why = seconds ? 'cannot be reached' : 'refused'
  const advice = seconds ? `Try again in ${html(seconds)} s.` : 'Its operator can tell why.'
  return frame(`<main><article class="alone"><h2>Not now</h2>
    <p id="alert" role="alert">The store ${why}, so nothing was changed, and you are still signed in. ${advice}</p>
    <p><a href="/">Back to the playground</a></p></article></main>`)
}
