/** The instruments around the two browsers, as HTML. */
import { FAULTS } from './faults.ts'
import { button, choice, html, part } from './html.ts'
import type { Lab } from './lab.ts'
import { BINDINGS, SLIDERS, type Slider } from './settings.ts'
import { STORES, type StoreName } from './stores.ts'
import { STEPS } from './tour.ts'

/** Draws the tour: five steps, of which one comes next. */
export function renderTour({ step }: Lab): string {
  const steps = STEPS.map(({ label, path, fields, text }, i) => {
    const state = i < step ? 'done' : i === step ? 'now' : 'later'
    const next = state === 'now' ? ' aria-current="step"' : ''
    const run = button(path, label, { fields: { ...fields, tour: i }, disabled: state !== 'now' })
    return `<li class="${state}"${next}>${run}<p>${html(text)}</p></li>`
  })
  const isOver = step >= STEPS.length
  const end = isOver
    ? 'Nothing was lost. Now try the rest: every button below is safe.'
    : 'Five clicks: what a session library is for.'
  const again = button('/lab/tour', 'Again', { kind: 'plain small', disabled: step === 0 })
  const content = `<div class="row between"><h2 id="tour-title">The tour</h2><p class="hint" id="tour-end">${end}</p>${again}</div><ol class="tour">${steps.join('')}</ol>`
  return `<section class="card wide" aria-labelledby="tour-title">${part('tour', content)}</section>`
}

const REDIS_HINT =
  ' With <code>UPSTASH_REDIS_REST_URL</code> and <code>UPSTASH_REDIS_REST_TOKEN</code> in <code>.dev.vars</code> there is Redis too.'

/** Draws the store, and the switch that breaks it. */
export function renderStore({ settings }: Lab, isConfigured: (name: StoreName) => boolean): string {
  const { fault, snapshot, store } = settings
  const names = (Object.keys(STORES) as StoreName[]).filter(isConfigured)
  const stores = names.map((name) => [name, STORES[name][0]] as const)
  const isCookie = store === 'cookie'
  const faults = Object.entries(FAULTS)
  const copies = [
    [true, 'Copy in the cookie'],
    [false, 'No copy'],
  ] as const
  const content = `<h2 id="store-title">The store</h2>
    ${choice('/lab/store', 'Where sessions live', stores, store)}
    <p class="hint" id="place">${html(STORES[store][1])}. Each store has a cookie of its own, so changing it signs nobody out.</p>
    ${choice('/lab/fault', 'Break the store', faults, isCookie ? 'healthy' : fault, isCookie)}
    ${choice('/lab/snapshot', 'Copy of the data', copies, snapshot, isCookie)}
    <p class="hint">The switch is not real, what follows from it is.${names.includes('redis') ? '' : REDIS_HINT}</p>`
  return `<section class="card" aria-labelledby="store-title">${part('store', content)}</section>`
}

/** Draws the experiments, and what the last one showed. */
export function renderExperiments({ result, settings }: Lab): string {
  const { ahead, binding, secrets } = settings
  const newer = secrets.length > 1 ? ', and cookies of the former one still open' : ''
  const content = `<h2 id="try-title">Try</h2>
    <div class="row">${button('/lab/race', 'Race: 5 requests each, at once')}${button('/lab/steal', "B steals A's cookie", { kind: 'plain' })}${button('/lab/tamper', "Tamper with A's cookie", { kind: 'plain' })}</div>
    <p class="result" id="result">${html(result ?? 'A copied cookie is the session, until its owner gets a new credential or signs out. Steal it, then try that in A.')}</p>
    ${choice('/lab/binding', 'Binding', Object.entries(BINDINGS), binding)}
    <div class="row">${button('/lab/ahead', '+ 1 hour', { fields: { value: ahead + 1 }, kind: 'plain small' })}${button('/lab/ahead', '+ 1 day', { fields: { value: ahead + 24 }, kind: 'plain small' })}${button('/lab/ahead', 'Now', { fields: { value: 0 }, kind: 'plain small', disabled: !ahead })}
      <span class="hint" id="clock">${ahead ? `The clock is ${ahead} h ahead.` : 'Sessions are idle after 8 hours.'}</span></div>
    <div class="row">${button('/lab/secrets', 'New secret', { fields: { value: 'new' }, kind: 'plain small' })}${button('/lab/secrets', 'Drop the former', { fields: { value: 'drop' }, kind: 'plain small', disabled: secrets.length < 2 })}
      <span class="hint" id="secrets">Secret ${secrets[0]} seals${newer}.</span></div>`
  return `<section class="card" aria-labelledby="try-title">${part('try', content)}</section>`
}

const LABELS: Record<Slider, (value: number) => string> = {
  attempts: (value) => `${value} ${value === 1 ? 'attempt' : 'attempts'} per call`,
  timeoutMs: (value) => `${value} ms for each`,
  failures: (value) => `${value} failures open the breaker`,
  openMs: (value) => `${value / 1000} s open at first`,
}

/** Draws the sliders of retries and breaker. */
export function renderPolicy(lab: Lab): string {
  const { settings } = lab
  const sliders = (Object.keys(SLIDERS) as Slider[]).map((name) => {
    const [least, most, step] = SLIDERS[name]
    const value = settings[name]
    return `<form method="post" action="/lab/${name}" class="slider"><label for="${name}">${LABELS[name](value)}</label>
      <input type="range" id="${name}" name="value" min="${least}" max="${most}" step="${step}" value="${value}"><noscript><button class="plain tiny">Set</button></noscript></form>`
  })
  const { readBreaker = 'off', retriesLeft = '–', writeBreaker = 'off' } = lab.details()
  const states = `<p class="hint">Breakers: reads <span class="breaker ${html(readBreaker)}" id="read-breaker">${html(readBreaker)}</span>, writes <span class="breaker ${html(writeBreaker)}" id="write-breaker">${html(writeBreaker)}</span>. Retries left: ${html(retriesLeft)}.</p>`
  return `<section class="card" aria-labelledby="policy-title">${part('policy', `<h2 id="policy-title">Retries and breaker, live</h2>${sliders.join('')}${states}`)}</section>`
}
