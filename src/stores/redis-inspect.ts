/** The health of Redis, in its own words. Rarely needed, so loaded when it is. */
import { StoreError } from '../errors.ts'
import { noUsableReply } from './redis-record.ts'
import type { StoreDetails, StoreInspection, StoreProblem, StoreWarning } from './store.ts'

/** Seconds after which a replica that was not heard of lags. */
const MAX_LAG = 10
const MAX_CLOCK_OFFSET_MS = 60_000

/** Sends a command and returns what Redis answers. */
export type RedisAsk = (command: readonly string[], signal?: AbortSignal) => Promise<unknown>

/** Rejects unless Redis answers. */
export async function ping(ask: RedisAsk, signal?: AbortSignal): Promise<void> {
  if ((await ask(['PING'], signal)) !== 'PONG') throw noUsableReply()
}

/** Asks for role, memory, evictions, replicas and the clock: `INFO` and `TIME`. */
export async function inspect(
  ask: RedisAsk,
  now: () => number,
  signal?: AbortSignal,
): Promise<StoreInspection> {
  /** A command that Redis forbids, or does not know, is left out. */
  const tell = async (command: string): Promise<unknown> => {
    try {
      return await ask([command], signal)
    } catch (error) {
      if (error instanceof StoreError) return undefined
      throw error
    }
  }
  const info = fieldsOf(await tell('INFO'))
  const began = now()
  const time = await tell('TIME')
  const clockOffsetMs = Array.isArray(time) ? offsetOf(time, (began + now()) / 2) : undefined
  if (!info.size && clockOffsetMs === undefined) await ping(ask, signal)
  const lag = lagOf(info)
  const figures = {
    role: { master: 'primary', slave: 'replica' }[info.get('role') ?? ''],
    memoryUsed: numberOf(info, 'used_memory'),
    memoryLimit: numberOf(info, 'maxmemory'),
    evictionPolicy: info.get('maxmemory_policy'),
    evicted: numberOf(info, 'evicted_keys'),
    replicaLag: Number.isFinite(lag) ? lag : undefined,
    clockOffsetMs,
  }
  const { evictionPolicy = 'noeviction', memoryLimit = 0, memoryUsed = 0, role } = figures
  const isFull = evictionPolicy === 'noeviction' && memoryLimit > 0 && memoryUsed >= memoryLimit
  const isReadOnly = role === 'replica' && info.get('slave_read_only') !== '0'
  return {
    figures: known(figures),
    problems: chosen<StoreProblem>({
      full: isFull,
      'read-only': isReadOnly,
      lagging: lag !== undefined && lag > MAX_LAG,
    }),
    warnings: chosen<StoreWarning>({
      'eviction-policy': evictionPolicy !== 'noeviction',
      clock: Math.abs(clockOffsetMs ?? 0) > MAX_CLOCK_OFFSET_MS,
    }),
  }
}

function fieldsOf(text: unknown): ReadonlyMap<string, string> {
  const lines = typeof text === 'string' ? text.matchAll(/^(\w+):(.*?)\r?$/gm) : []
  return new Map([...lines].map(([, name = '', value = '']) => [name, value]))
}

function numberOf(info: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = info.get(name)
  return text && /^\d+$/.test(text) ? Number(text) : undefined
}

/** Milliseconds by which Redis' clock is ahead. */
function offsetOf([seconds, micros]: unknown[], now: number): number | undefined {
  const offset = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - now)
  return Number.isFinite(offset) ? offset : undefined
}

/** Seconds by which the slowest replica, or this one, is behind; `Infinity`: it has lost its primary. */
function lagOf(info: ReadonlyMap<string, string>): number | undefined {
  if (info.get('role') === 'slave') {
    if (info.get('master_link_status') !== 'up') return Infinity
    return numberOf(info, 'master_last_io_seconds_ago')
  }
  const lags = [...info].flatMap(([name, value]) => {
    const lag = /^slave\d+$/.test(name) && /\blag=(\d+)/.exec(value)?.[1]
    return lag ? [Number(lag)] : []
  })
  return lags.length ? Math.max(...lags) : undefined
}

function known(figures: Record<string, string | number | undefined>): StoreDetails {
  const entries = Object.entries(figures).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as StoreDetails
}

function chosen<W extends string>(words: { readonly [word in W]?: boolean }): W[] {
  return (Object.keys(words) as W[]).filter((word) => words[word])
}
