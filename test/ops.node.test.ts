import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SessionEvent } from '../src/index.ts'
import { defaultLevels } from '../src/observe/log.ts'
import { recordEvents } from '../src/observe/otel.ts'

const fileOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))
const read = (path: string): string => readFileSync(fileOf(path), 'utf8')

/** One time series: its name, and its labels. */
interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

/** The words of a union in the sources: `'new' | 'active'`. */
function unionOf(path: string, name: string): string[] {
  const [, union = ''] =
    new RegExp(`${name}\\b[^=:;]*[=:]((?:\\s*\\|?\\s*'[\\w-]+')+)`).exec(read(path)) ?? []
  return [...union.matchAll(/'([\w-]+)'/g)].map(([, word = '']) => word)
}

/** What the exporter for Prometheus shows after every event, with every word that its fields can have. */
async function exportAll(): Promise<Series[]> {
  const exporter = new PrometheusExporter({ preventServerStart: true })
  const meters = new MeterProvider({ readers: [exporter] })
  const record = recordEvents({ meter: meters.getMeter('sojourn') })
  const details = () => ({ readBreaker: 'open', writeBreaker: 'closed', retriesLeft: 1 })
  record.attach?.({ name: 'redis', details })
  const tell = (event: object): void => void record({ at: 1, ...event } as SessionEvent)
  const failure = { store: 'redis', operation: 'read', code: 'ERR_STORE' }
  const about = { ...failure, changes: 1, deferred: true, key: '0a1b2c3d' }
  for (const type of Object.keys(defaultLevels))
    tell({ type, ...about, status: 'new', outcome: 'ok' })
  const statuses = unionOf('src/session/session.ts', 'SessionStatus')
  for (const status of statuses) tell({ type: 'session.opened', status })
  const outcomes = unionOf('src/events.ts', 'SaveOutcome')
  for (const outcome of outcomes) tell({ type: 'session.saved', outcome, bytes: 100 })
  const call = { type: 'store.call', ...failure, durationMs: 1, attempts: 1 }
  for (const outcome of unionOf('src/events.ts', 'readonly outcome')) tell({ ...call, outcome })
  const layers = unionOf('src/stores/store.ts', 'readonly layer')
  for (const layer of layers)
    for (const hit of [true, false]) tell({ type: 'cache.read', layer, hit })
  const reasons = unionOf('src/errors.ts', 'StoreReason')
  for (const reason of reasons) tell({ type: 'store.failed', ...failure, reason })
  expect([statuses, outcomes, layers, reasons].map(({ length }) => length > 2)).toEqual(
    Array(4).fill(true),
  )
  return (await shownBy(exporter)).split('\n').flatMap(seriesOf)
}

function shownBy(exporter: PrometheusExporter): Promise<string> {
  return new Promise((resolve) => {
    const response = { setHeader() {}, end: resolve }
    exporter.getMetricsRequestHandler({} as never, response as never)
  })
}

function seriesOf(line: string): Series[] {
  const [, name, labels = ''] = /^(sojourn_\w+)(?:\{(.*)\})? /.exec(line) ?? []
  if (!name) return []
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [
    key,
    value,
  ])
  return [{ name, labels: Object.fromEntries(pairs) }]
}

/** The labels that a query groups by, and what it selects. */
function partsOf(query: string): { labels: string[]; selectors: string[] } {
  const labels: string[] = []
  const rest = query.replace(
    /\b(?:by|on|ignoring|without|group_left)\s*\(([^)]*)\)/g,
    (_, list: string) => {
      labels.push(...list.split(',').map((one) => one.trim()))
      return ''
    },
  )
  const selectors = rest.match(/(?:\bsojourn_\w+)?\{[^}]*\}|\bsojourn_\w+\b(?=[[)\s]|$)/g) ?? []
  return { labels: labels.filter(Boolean), selectors }
}

/** Labels that come from Prometheus, or from its dashboards. */
const FOREIGN = ['job', 'alertname']

function selects(selector: string, { labels, name }: Series): boolean {
  const [, own, list = ''] = /^(\w*)(?:\{([^}]*)\})?$/.exec(selector) ?? []
  const matchers = [...list.matchAll(/(\w+)(=~|=)"([^"]*)"/g)]
  const all = own ? [...matchers, ['', '__name__', '=', own] as const] : matchers
  return all.every(([, label = '', operator, value = '']) => {
    if (FOREIGN.includes(label)) return true
    const there = label === '__name__' ? name : (labels[label] ?? '')
    return operator === '=' ? there === value : new RegExp(`^(?:${value})$`).test(there)
  })
}

/** Each word that a selector names, by itself: `a|b` has to be there twice. */
function alternativesOf(selector: string): string[] {
  const [all = '', words = ''] = /=~"((?:[\w.-]+\|)+[\w.-]+)"/.exec(selector) ?? []
  if (!all) return [selector]
  return words.split('|').flatMap((word) => alternativesOf(selector.replace(all, `="${word}"`)))
}

let exported: Series[]

beforeAll(async () => {
  exported = await exportAll()
})

function expectKnown(query: string): void {
  const { labels, selectors } = partsOf(query)
  expect(selectors.length).toBeGreaterThan(0)
  for (const selector of selectors.flatMap(alternativesOf)) {
    const found = exported.some((series) => selects(selector, series))
    expect([query, selector, found]).toEqual([query, selector, true])
  }
  for (const label of labels.filter((one) => !FOREIGN.includes(one))) {
    const found = exported.some((series) => label in series.labels)
    expect([query, label, found]).toEqual([query, label, true])
  }
}

interface Panel {
  readonly id: number
  readonly title: string
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
}

const { panels } = JSON.parse(read('ops/dashboard.json')) as { panels: Panel[] }

describe('ops/dashboard.json', () => {
  it.each(panels.map((panel) => [panel.title, panel] as const))(
    '%s: queries series that the exporter shows',
    (_, { targets }) => {
      for (const { expr, legendFormat } of targets) {
        expectKnown(expr)
        const { labels } = partsOf(expr)
        // A legend can only show what the query leaves.
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          expect(labels).toContain(label)
        }
      }
    },
  )

  it('shows every metric, each panel under an id of its own', () => {
    const all = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n')
    const names = new Set(exported.map(({ name }) => name.replace(/_(?:count|sum|bucket)$/, '')))
    for (const name of names) expect([name, all.includes(name)]).toEqual([name, true])
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  })
})

/** The alerts in the rules: name and expression, without the line breaks. */
const alerts = read('ops/alerts.yml')
  .split('- alert: ')
  .slice(1)
  .map((text) => {
    const [name = ''] = text.split('\n', 1)
    const [, expr = ''] = /expr: ([\s\S]*?)\n {8}(?:for|labels):/.exec(text) ?? []
    const [, runbook = ''] = /runbook_url: (\S+)/.exec(text) ?? []
    return { name, text, expr: expr.replace(/^>/, '').replaceAll(/\s+/g, ' '), runbook }
  })

describe('ops/alerts.yml', () => {
  it.each(alerts.map((alert) => [alert.name, alert] as const))(
    '%s: queries series that the exporter shows, and has a runbook',
    (name, { expr, runbook, text }) => {
      expectKnown(expr)
      const { labels } = partsOf(expr)
      for (const [, label] of text.matchAll(/\$labels\.(\w+)/g)) expect(labels).toContain(label)
      expect(runbook).toBe(`docs/operations.md#${name.toLowerCase()}`)
      expect(read('docs/operations.md')).toMatch(new RegExp(`^### ${name}$`, 'm'))
      expect(read('ops/alerts.test.yml')).toContain(name)
    },
  )

  it('passes the checks and unit tests of promtool', () => {
    const promtool = (...args: string[]): string =>
      execFileSync('promtool', args, { cwd: fileOf('ops'), encoding: 'utf8', stdio: 'pipe' })
    expect(promtool('check', 'rules', 'alerts.yml')).toContain(`${alerts.length} rules found`)
    expect(promtool('test', 'rules', 'alerts.test.yml')).toContain('SUCCESS')
  })
})

it('names of metrics that are not exported would be noticed', () => {
  expect(() => expectKnown('rate(sojourn_session_open_total[5m])')).toThrow()
  expect(() =>
    expectKnown('rate(sojourn_session_opened_total{sojourn_status="gone"}[5m])'),
  ).toThrow()
  expect(() => expectKnown('sum by (sojourn_state) (sojourn_breaker_state)')).toThrow()
})

it('docs/operations.md has the writer for Analytics Engine as it is tested', () => {
  expect(read('docs/operations.md')).toContain(read('examples/analytics-engine/writer.ts'))
})

it('docs/operations.md names every metric as the exporter spells it', () => {
  const text = read('docs/operations.md')
  const names = new Set(exported.map(({ name }) => name.replace(/_(?:count|sum)$/, '_bucket')))
  for (const name of names) expect([name, text.includes(`\`${name}\``)]).toEqual([name, true])
})
