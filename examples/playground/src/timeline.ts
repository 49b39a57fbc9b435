/** What happened, as HTML: a plot of the last requests, and a row for each. */
import type { SessionEvent } from 'sojourn'
import { defaultLevels } from 'sojourn/log'
import { linkOf, MEANINGS } from './events.ts'
import { html, part } from './html.ts'
import type { Lab } from './lab.ts'
import type { Observed } from './probe.ts'

const SHOWN = 40
const WIDTH = 12
const HEIGHT = 56

interface Plot {
  readonly id: string
  readonly title: string
  readonly figureOf: (seen: Observed) => number
  readonly unit: string
}

const PLOTS: readonly Plot[] = [
  { id: 'latency', title: 'Milliseconds', figureOf: ({ ms }) => ms, unit: 'ms' },
  { id: 'calls', title: 'Store calls', figureOf: ({ storeCalls }) => storeCalls, unit: 'calls' },
]

/** Draws one bar for each request, the newest on the right. */
function plot({ id, title, figureOf, unit }: Plot, seen: readonly Observed[]): string {
  const shown = seen.slice(0, SHOWN).reverse()
  const most = Math.max(1, ...shown.map(figureOf))
  const bars = shown.map((one, i) => {
    const height = Math.max(1, (HEIGHT * figureOf(one)) / most)
    const x = (SHOWN - shown.length + i) * WIDTH
    const kind = one.status >= 500 ? 'failed' : one.browser
    return `<rect class="${kind}" x="${x}" y="${HEIGHT - height}" width="${WIDTH - 2}" height="${height}"/>`
  })
  const latest = seen[0] ? figureOf(seen[0]) : 0
  return `<figure><figcaption>${title} <strong>${latest} ${unit}</strong> <small>most ${most}</small></figcaption>
    <svg id="${id}" role="img" aria-label="${title} of the last ${shown.length} requests, at most ${most}" viewBox="0 0 ${SHOWN * WIDTH} ${HEIGHT}" preserveAspectRatio="none">${bars.join('')}</svg></figure>`
}

/** Draws the status of the breaker after each request. */
function breakers(seen: readonly Observed[]): string {
  const shown = seen.slice(0, SHOWN).reverse()
  const cells = shown.map(({ breaker }, i) => {
    const x = (SHOWN - shown.length + i) * WIDTH
    return `<rect class="${html(breaker)}" x="${x}" y="0" width="${WIDTH - 2}" height="10"/>`
  })
  const latest = seen[0]?.breaker ?? 'off'
  return `<figure><figcaption>Breaker of reads <strong>${html(latest)}</strong></figcaption>
    <svg id="breakers" class="low" role="img" aria-label="Breaker after each of the last ${shown.length} requests, now ${html(latest)}" viewBox="0 0 ${SHOWN * WIDTH} 10" preserveAspectRatio="none">${cells.join('')}</svg></figure>`
}

const AGAINST = new Set(['at', 'type', 'session', 'store'])

/** What an event says besides its type. */
function detailOf(event: SessionEvent): string {
  const words = Object.entries(event).filter(([name]) => !AGAINST.has(name))
  return words
    .map(([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value) : value}`)
    .join(', ')
}

function line(event: SessionEvent, start: number): string {
  const { at, type } = event
  const detail = detailOf(event)
  return `<li class="${defaultLevels[type] || 'debug'}"><a href="${html(linkOf(type))}" target="_blank" rel="noopener">${html(type)}</a> <span>${html(MEANINGS[type] ?? '')}${detail ? ` <small>${html(detail)}</small>` : ''} <small>+${Math.max(0, Math.round(at - start))} ms</small></span></li>`
}

function row(seen: Observed, ahead: number): string {
  const { at, browser, cookieBytes, cryptoCalls, events, method, ms, path, status, storeCalls } =
    seen
  const facts = [
    `${ms} ms`,
    `${storeCalls} store`,
    `${cryptoCalls} crypto`,
    cookieBytes ? `${cookieBytes} B cookies` : 'no cookie',
  ]
  const lines = events.map((event) => line(event, at + ahead)).join('')
  return `<li class="${method === 'GET' && !lines ? 'quiet' : ''}"><p><b class="${browser}">${browser.toUpperCase()}</b><code>${method} ${html(path)}</code>
    <span class="code ${status >= 400 ? 'failed' : ''}">${status}</span>${facts.map((fact) => `<span>${fact}</span>`).join('')}</p>${lines ? `<ul>${lines}</ul>` : ''}</li>`
}

/** Draws the plots and the timeline, the newest request first. */
export function renderTimeline({ seen, settings }: Lab): string {
  const ahead = settings.ahead * 3_600_000
  const plots = PLOTS.map((one) => plot(one, seen)).join('') + breakers(seen)
  const content = `<div class="row between"><h2 id="timeline-title">What happened</h2></div>${plots}
    <ol id="requests" class="requests" tabindex="0" aria-label="Requests, the newest first">${seen.map((one) => row(one, ahead)).join('')}</ol>`
  return `<section class="card timeline" aria-labelledby="timeline-title">
    <button id="traffic" class="plain small" aria-pressed="false" hidden>Send traffic</button>${part('timeline', content)}</section>`
}
