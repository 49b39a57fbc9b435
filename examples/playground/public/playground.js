/**
 * The script of the playground. Every button is a form that works without it: it sends them in place, so that nothing
 * scrolls or flickers, and has the two browsers notice what happens in other tabs.
 */
import { watchSession } from '/sojourn/client.js'

/** The content of each part as the server last sent it. */
const sent = new Map()
let queue = Promise.resolve()
let own = 0
let last

/** Puts a page of the server in place of what is there, part by part, where it differs. */
function show(text) {
  const next = new DOMParser().parseFromString(text, 'text/html')
  const focused = document.activeElement?.id
  const open = [...document.querySelectorAll('details[open]')].map(({ id }) => id)
  for (const part of document.querySelectorAll('[data-part]')) {
    const content = next.getElementById(part.id)?.innerHTML
    if (content === undefined || content === (sent.get(part.id) ?? part.innerHTML)) continue
    const tops = [...part.querySelectorAll('[tabindex]')].map(({ id, scrollTop }) => [
      id,
      scrollTop,
    ])
    const inputs = [...part.querySelectorAll('input[maxlength]')]
    const typed = inputs.filter(({ defaultValue, value }) => value !== defaultValue)
    part.innerHTML = content
    sent.set(part.id, content)
    for (const { id, value } of typed) {
      const input = document.getElementById(id)
      if (input) input.value = value
    }
    for (const [id, top] of tops) document.getElementById(id)?.scrollTo(0, top)
  }
  for (const id of open) document.getElementById(id)?.setAttribute('open', '')
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
}

/** Tells screen readers what the browsers say. */
function say() {
  const texts = [...document.querySelectorAll('.message:not([class="message "]), #result')]
  const text = texts.map(({ textContent }) => textContent).join(' ')
  const said = document.getElementById('said')
  if (said.textContent !== text) said.textContent = text
}

async function send(url, init) {
  const response = await fetch(url, init)
  // Also that of an outage is a whole page.
  show(await response.text())
  say()
  if (init) void tellOthers()
  if (document.getElementById('waits').textContent === 'yes') setTimeout(refresh, 1000)
}

/** Tells the other tabs. What this one learns by it is on the page already, whose messages are shown once. */
async function tellOthers() {
  own++
  await Promise.allSettled(watches.map((watch) => watch.check()))
  own--
}

/** Sends one request after the other, so that no click is lost. */
function load(url, init) {
  document.documentElement.dataset.busy = 'true'
  const mine = queue.then(() => send(url, init))
  queue = mine
    .catch(() => {}) // Offline: the next click tries again.
    .then(() => {
      if (last === mine) document.documentElement.dataset.busy = 'false'
    })
  last = mine
}

/** Looks again, unless something is under way, which looks by itself. */
const refresh = () => document.documentElement.dataset.busy === 'true' || load('/')

document.addEventListener('submit', (event) => {
  event.preventDefault()
  const { target, submitter } = event
  load(target.action, { method: 'POST', body: new FormData(target, submitter) })
})

document.addEventListener('change', ({ target }) => {
  if (target.type === 'range') target.form.requestSubmit()
})

const traffic = document.getElementById('traffic')
let timer
traffic.hidden = false
traffic.addEventListener('click', () => {
  const isOn = traffic.getAttribute('aria-pressed') === 'true'
  traffic.setAttribute('aria-pressed', String(!isOn))
  clearInterval(timer)
  if (!isOn) timer = setInterval(() => document.hidden || refresh(), 500)
})

// A second tab notices: whoever signs in or out in one of them changes both.
const watches = ['a', 'b'].map((browser) =>
  watchSession({
    url: `/${browser}/session-status`,
    keepAlive: false,
    onChange: () => own || refresh(),
  }),
)
if (document.getElementById('waits').textContent === 'yes') setTimeout(refresh, 1000)
