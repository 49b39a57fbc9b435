/** The two browsers, as HTML. */
import type { SessionInfo } from 'sojourn'
import { button, html, part, terms } from './html.ts'
import { BROWSERS, type BrowserName, type Jar } from './jars.ts'
import type { Shown } from './shop.ts'

/** A browser and what it shows. */
export interface Pane {
  readonly jar: Jar
  readonly shown: Shown
  /** Why its last request was refused, until it is shown. */
  readonly refusal: string | null
  /** Epoch milliseconds, on the clock of the visitor. */
  readonly now: number
}

const ITEMS = ['Tent', 'Rope', 'Map']

const ALERTS: Partial<Record<Shown['status'], string>> = {
  expired: 'Its time is up, so nobody is signed in here any more.',
  invalid:
    'This cookie opens to nothing: it was changed, sealed under a secret that is gone, or is of another browser.',
  missing: 'This session has ended, somewhere else or because its cookie was replaced.',
  unproven: 'The session is bound to a device, and this is another one.',
  superseded: 'Another request has just replaced the credential: the next page has the new one.',
}

function messageOf({ refusal, shown }: Pane): readonly [kind: string, text: string] {
  const { isUnknown, notice, status } = shown
  if (refusal) return ['bad', refusal]
  if (status === 'degraded') {
    const text = isUnknown
      ? 'The store cannot be reached. Nobody is signed out: the session is back as soon as the store is.'
      : 'The store cannot be reached. This is the copy in the cookie, and the browser carries what you change.'
    return ['warn', notice ? `${notice} ${text}` : text]
  }
  if (ALERTS[status]) return ['bad', ALERTS[status]]
  return notice ? ['good', notice] : ['', 'A browser with a jar of cookies of its own.']
}

function account({ jar: { name }, shown, now }: Pane): string {
  const { actor, factors, isUnknown, subject } = shown
  if (isUnknown) return '<p class="hint">Who this is cannot be read now.</p>'
  if (subject === null) {
    return `<form method="post" action="/${name}/sign-in" class="row">
      <label for="${name}-name">Name</label>
      <input id="${name}-name" name="name" value="Ada" required maxlength="40" autocomplete="off">
      <button id="${name}-sign-in">Sign in</button>
      </form>${button(`/${name}/act-as`, 'Act as Ada, for support', { fields: { name: 'Ada' }, kind: 'plain' })}`
  }
  const proven = factors.passkey
  const age =
    proven === undefined ? '' : ` · passkey ${Math.round((now - proven) / 60_000)} min ago`
  return `<p class="who"><strong id="${name}-user">${html(subject)}</strong>${actor ? ` <small>(${html(actor)} acts)</small>` : ''}<small>${age}</small></p>
    <div class="row">${button(`/${name}/sign-out`, 'Sign out', { kind: 'plain small' })}${button(`/${name}/regenerate`, 'New credential', { kind: 'plain small' })}</div>
    <div class="row">${button(`/${name}/prove`, 'Prove passkey', { kind: 'plain small' })}${button(`/${name}/account/e-mail`, 'Change e-mail', { kind: 'plain small' })}</div>`
}

function cart({ jar: { name }, shown: { data, isUnknown } }: Pane): string {
  const add = ITEMS.map((item) =>
    button(`/${name}/cart/add`, `+ ${item}`, { fields: { item }, kind: 'plain small' }),
  )
  const items = (data.cart ?? []).map((item, at) => {
    const title = `Remove ${item}`
    return `<li>${html(item)}${button(`/${name}/cart/remove`, '×', { fields: { at }, kind: 'plain tiny', title })}</li>`
  })
  const none = `<li class="hint">${isUnknown ? 'Cannot be read now' : 'Nothing yet'}</li>`
  return `<h3>Cart</h3><div class="row">${add.join('')}</div>
    <ul id="${name}-cart" class="cart" tabindex="0" aria-label="Cart of ${BROWSERS[name].name}">${items.join('') || none}</ul>`
}

function counter({ jar: { name }, shown: { data, isUnknown } }: Pane): string {
  const count = isUnknown ? '–' : html(data.count ?? 0)
  return `<div class="row count"><h3>Counter</h3><output id="${name}-total">${count}</output>${button(`/${name}/count`, 'Count', { kind: 'plain small' })}</div>`
}

function device({ id, label }: SessionInfo, name: BrowserName, mine: string): string {
  const text = html(label || 'Unknown')
  const end = button(`/${name}/devices/sign-out`, 'Sign out', {
    fields: { id },
    kind: 'plain tiny',
    title: `Sign out ${label ?? 'this device'}`,
  })
  return `<li><span>${text}</span>${id === mine ? '<small>this one</small>' : end}</li>`
}

function devices({ jar: { name }, shown: { devices, id } }: Pane): string {
  const list = devices.map((one) => device(one, name, id)).join('')
  const none = '<li class="hint">Sign in, with a store that can be reached.</li>'
  const others = button(`/${name}/devices/sign-out-others`, 'Sign out everywhere else', {
    kind: 'plain small',
    disabled: devices.length < 2,
  })
  return `<h3>Devices of this user</h3>
    <ul id="${name}-devices" class="devices" tabindex="0" aria-label="Devices, seen from ${BROWSERS[name].name}">${list || none}</ul>${others}`
}

/** The session as the browser holds it, and what is in it. */
function cookie({ jar: { cookies, name }, shown, now }: Pane): string {
  const sealed = [...cookies].find(([one]) => one.endsWith('session'))?.[1]
  const deferred = [...cookies.keys()].filter((one) => /\.d[\w-]{4}$/.test(one)).length
  const bound = [...cookies].find(([one]) => one.endsWith('session-bound'))?.[1]
  const { data, expiresAt, id, key, rotationId, subject } = shown
  const minutes = Math.max(0, Math.round((expiresAt - now) / 60_000))
  const rows = [
    ['Session', `<span id="${name}-id">${sealed ? html(id) : 'none yet'}</span>`],
    ['Credential', `<span id="${name}-rotation">${sealed ? html(rotationId) : 'none yet'}</span>`],
    ['Ends in', `${minutes} min`],
    ['Bound cookie', `<span id="${name}-bound">${bound ? `${bound.length} bytes` : 'none'}</span>`],
    ['Key of the device', `<span id="${name}-key">${html(key ?? 'none')}</span>`],
    [
      'Changes that wait',
      `<span id="${name}-waiting">${deferred ? `in ${deferred} cookies` : 'none'}</span>`,
    ],
  ] as const
  return `<details id="${name}-cookie"><summary>The cookie: ${sealed ? `${sealed.length} bytes` : 'none'}</summary>
    <p class="sealed" id="${name}-sealed">${html(sealed ?? '')}</p>
    <pre id="${name}-opened">${html(JSON.stringify({ subject, data }, null, 2))}</pre>${terms(rows)}</details>`
}

/** Draws one browser. */
export function renderPane(pane: Pane): string {
  const { name } = pane.jar
  const { device, name: title } = BROWSERS[name]
  const { status } = pane.shown
  const [kind, message] = messageOf(pane)
  const content = `<header><h2 id="${name}-title">${title}</h2><small>${device}</small>
      <span class="status ${status}" id="${name}-status">${status}</span></header>
    <p class="message ${kind}" id="${name}-message">${html(message)}</p>
    <div class="account">${account(pane)}</div>
    <div>${cart(pane)}</div>${counter(pane)}<div>${devices(pane)}</div>${cookie(pane)}`
  return `<section class="card pane ${name}" aria-labelledby="${name}-title">${part(`pane-${name}`, content)}</section>`
}
