/** Promises 1, 2 and 8: no acknowledged write is lost, none is made twice. */
import { accepts, endOf, type Facts, failedToWrite, KV_LAG, rotatesTwiceAtOnce } from './facts.ts'
import type { Effect, Exchange } from './history.ts'
import { type Lineage, rotationsOf } from './lineages.ts'

const COUNTERS = { c: 'increment', u: 'update' } as const

/** What a read shows of the writes that were acknowledged before it. */
export function checkWrites(facts: Facts, reader: Exchange, lineage: Lineage): void {
  const { at, data, subject } = reader.seen!
  const effects = lineage.effects.filter((effect) => effect.exchange.sent <= at)
  const required = effects.filter((effect) => isRequired(facts, effect, reader, lineage))
  for (const { token, use } of required) {
    if (use.op !== 'append') continue
    const list = (data[`a${use.key}`] ?? []) as string[]
    if (!list.includes(token)) facts.report('1 lost write', reader, `append ${token} is not there`)
  }
  for (const key of [0, 1]) {
    checkCounters(facts, reader, key, effects, required)
    const sets = effects.filter(({ use }) => isSet(use.op) && 'key' in use && use.key === key)
    checkRegister(facts, reader, `s${key}`, data[`s${key}`], sets, required)
  }
  const logins = effects.filter(({ use }) => use.op === 'login')
  checkRegister(facts, reader, 'subject', subject ?? undefined, logins, required)
}

const isSet = (op: string): boolean => op === 'set' || op === 'unset'

function checkCounters(
  facts: Facts,
  reader: Exchange,
  key: number,
  effects: readonly Effect[],
  required: readonly Effect[],
): void {
  for (const [name, op] of Object.entries(COUNTERS)) {
    const isOne = ({ use }: Effect): boolean => use.op === op && use.key === key
    const value = (reader.seen!.data[name + key] ?? 0) as number
    const [least, most] = [required.filter(isOne).length, effects.filter(isOne).length]
    const text = `${op} ${key}: ${value}, of ${least} acknowledged and ${most} sent`
    if (value < least) facts.report('1 lost write', reader, text)
    if (value > most) facts.report('2 counted twice', reader, text)
  }
}

/** A value is that of the last write, or of one that overlaps it. */
function checkRegister(
  facts: Facts,
  reader: Exchange,
  name: string,
  value: unknown,
  effects: readonly Effect[],
  required: readonly Effect[],
): void {
  const last = required.filter((effect) => effects.includes(effect))
  const isCurrent = (effect: Effect | null): boolean =>
    !last.some((other) => other !== effect && endOfEffect(effect) < other.exchange.sent)
  if (value === undefined && isCurrent(null)) return
  if (effects.some((effect) => writtenBy(effect) === value && isCurrent(effect))) return
  const expected = last.map(writtenBy).at(-1)
  facts.report('1 lost write', reader, `${name} is ${value}, expected ${expected}`)
}

function writtenBy({ use, token }: Effect): string | undefined {
  if (use.op === 'login') return `u${use.user}`
  return use.op === 'unset' ? undefined : token
}

/** Until when it may still take effect. */
function endOfEffect(effect: Effect | null): number {
  if (!effect) return -Infinity
  const { acked, exchange } = effect
  if (acked < Infinity) return acked
  return exchange.outcome === 'ok' && exchange.fate !== 'deferred' ? exchange.done : Infinity
}

/** Whether a read has to show it: acknowledged long enough ago, and nothing excuses its loss. */
function isRequired(facts: Facts, effect: Effect, reader: Exchange, lineage: Lineage): boolean {
  const { acked, exchange: writer, isLeft } = effect
  if (isLeft || !(acked + facts.lateness(writer, reader) < reader.sent)) return false
  if (facts.isForgotten(writer.sent, Math.max(writer.done, acked))) return false
  const { store } = facts.config
  if (store === 'none') return isSequential(facts, writer, reader)
  if (store !== 'kv') return true
  const isOverwritten =
    accepts('KV keeps the last of overlapping writes') &&
    !isAloneOnKV(facts, writer, reader, lineage)
  const near = rotationsOf(lineage).filter(
    (one) =>
      (writer.sent < endOf(one) + KV_LAG || one.outcome !== 'ok') &&
      endOf(writer) > one.sent - KV_LAG,
  )
  const isForked = accepts('two places of KV rotate one session') && rotatesTwiceAtOnce(near)
  return !isOverwritten && !isForked
}

/** Cookies hold what the last response brought: overlapping requests lose each other's writes. */
function isSequential({ history }: Facts, writer: Exchange, reader: Exchange): boolean {
  const isInherited = history.thefts.some(
    ({ thief, jar, at }) => thief === reader.jar && jar === writer.jar && writer.received < at,
  )
  if (writer.jar !== reader.jar && !isInherited) return false
  return !history.exchanges.some(
    (other) =>
      other !== writer &&
      other.jar === writer.jar &&
      other.sent <= writer.received &&
      endOf(other) >= writer.sent,
  )
}

/** On KV the last of overlapping writes wins, and overlapping takes its lag. */
function isAloneOnKV(facts: Facts, writer: Exchange, reader: Exchange, lineage: Lineage): boolean {
  return !facts
    .writersOf(lineage)
    .some(
      (other) =>
        other !== writer &&
        other !== reader &&
        other.sent <= reader.seen!.at &&
        facts.overlapOnKV(writer, other),
    )
}

/** Nothing is there twice, and nothing of another session. */
export function checkDoubles(facts: Facts, reader: Exchange, lineage: Lineage): void {
  for (const [key, tokens] of tokensIn(reader)) {
    if (new Set(tokens).size < tokens.length) {
      facts.report('2 applied twice', reader, `${key} is ${tokens}`)
    }
    for (const token of tokens) {
      if (lineage.effects.some((effect) => effect.token === token)) continue
      // A session may begin with what an anonymous one held.
      if (isOfAncestor(facts, token, lineage)) continue
      facts.report('4 data of another session', reader, `${token} in ${key}`)
    }
  }
}

/** The tokens that a request saw, by key. */
export function tokensIn({ seen }: Exchange): [string, string[]][] {
  return Object.entries(seen?.data ?? {}).flatMap(([key, value]): [string, string[]][] => {
    if (/^a\d/.test(key)) return [[key, value as string[]]]
    return /^s\d/.test(key) ? [[key, [value as string]]] : []
  })
}

function isOfAncestor({ lineages }: Facts, token: string, { origin }: Lineage): boolean {
  const before = origin && lineages.found(origin)
  return !!before && before.effects.some((effect) => effect.token === token)
}

/** What was left for the next request is not read by a later one too. */
export function checkFlash(facts: Facts): void {
  const { exchanges } = facts.history
  const readers = new Map<string, Exchange[]>()
  for (const exchange of exchanges) {
    const { seen, outcome } = exchange
    if (seen?.flash === undefined || seen.status !== 'active' || outcome !== 'ok') continue
    const before = readers.get(seen.flash) ?? []
    readers.set(seen.flash, [...before, exchange])
    const isReturned = before.some(
      (one) =>
        one.fate === 'kept' &&
        // A value that waits in a cookie goes on waiting where a store that is full takes nothing: the page is shown.
        !failedToWrite(one) &&
        one.received + facts.lateness(one, exchange) < exchange.sent &&
        !facts.isForgotten(one.sent, one.done) &&
        (facts.config.store === 'shared' || isAlone(facts, one)),
    )
    if (isReturned) facts.report('2 spent value returns', exchange, `flash ${seen.flash}`)
  }
}

function isAlone({ history }: Facts, exchange: Exchange): boolean {
  if (history.thefts.length > 0) return false
  return !history.exchanges.some(
    (other) => other !== exchange && other.sent <= endOf(exchange) && endOf(other) > exchange.sent,
  )
}
