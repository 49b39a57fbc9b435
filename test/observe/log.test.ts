import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { SessionEvent } from '../../src/events.ts'
import { defaultLevels, type Logger, type LogOptions, logEvents } from '../../src/observe/log.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { createCountingStore, createWorld, errorOf, SECRET } from '../support/sessions.ts'

type Line = [level: string, ...line: unknown[]]

function createLogger(more: object = {}): { logger: Logger; lines: Line[] } {
  const lines: Line[] = []
  const method =
    (level: string) =>
    (...line: unknown[]) =>
      lines.push([level, ...line])
  const methods = ['debug', 'info', 'warn', 'error'].map((level) => [level, method(level)])
  return { logger: { ...Object.fromEntries(methods), ...more }, lines }
}

const retry = (at = 0): SessionEvent => ({
  at,
  type: 'store.retry',
  store: 'upstash',
  operation: 'read',
  attempt: 1,
  delayMs: 20,
  code: 'ERR_STORE_TIMEOUT',
})
/** The fields by which it is counted. */
const kind = { type: 'store.retry', code: 'ERR_STORE_TIMEOUT', operation: 'read' }
const login: SessionEvent = { at: 5, type: 'session.login', session: 'x1' }

function setUp(options: LogOptions = {}) {
  const clock = createClock()
  const { logger, lines } = createLogger()
  return { clock, lines, log: logEvents(logger, { now: clock, ...options }) }
}

describe('logEvents()', () => {
  it('writes the message first for a logger shaped as console', () => {
    const { log, lines } = setUp()
    log(login)
    expect(lines).toEqual([['info', 'sojourn: session.login', login]])
  })

  it('writes the fields first for a logger shaped as pino', () => {
    const { logger, lines } = createLogger({ child() {}, fatal() {} })
    logEvents(logger)(login)
    expect(lines).toEqual([['info', login, 'sojourn: session.login']])
  })

  it('takes a logger with child alone, as winston has, for one shaped as console', () => {
    const { logger, lines } = createLogger({ child() {} })
    logEvents(logger)(login)
    expect(lines).toEqual([['info', 'sojourn: session.login', login]])
  })

  it('writes first what it is told to', () => {
    const like = createLogger({ child() {}, fatal() {} })
    logEvents(like.logger, { first: 'message' })(login)
    expect(like.lines).toEqual([['info', 'sojourn: session.login', login]])
    const plain = createLogger()
    logEvents(plain.logger, { first: 'fields' })(login)
    expect(plain.lines).toEqual([['info', login, 'sojourn: session.login']])
  })

  it('takes the real console', () => {
    expect(typeof logEvents(console)).toBe('function')
  })

  it('calls the methods on the logger', () => {
    const logger = {
      lines: [] as unknown[],
      debug() {},
      info(...line: unknown[]) {
        this.lines.push(line)
      },
      warn() {},
      error() {},
    }
    logEvents(logger)(login)
    expect(logger.lines.length).toBe(1)
  })

  it('warns of an outage and says little of everyday sessions', () => {
    const levelsOf = (start: string) => [
      ...new Set(
        Object.entries(defaultLevels)
          .filter(([type]) => type.startsWith(start))
          .map(([, level]) => level || 'off'),
      ),
    ]
    expect(levelsOf('session.').sort()).toEqual(['debug', 'error', 'info', 'off', 'warn'])
    expect(defaultLevels['session.corrupt']).toBe('error')
    expect(defaultLevels['store.retry']).toBe('warn')
    expect(defaultLevels['store.degraded']).toBe('warn')
    expect(defaultLevels['store.unavailable']).toBe('error')
    expect(defaultLevels['breaker.open']).toBe('error')
  })

  it.each(Object.keys(defaultLevels) as SessionEvent['type'][])('gives %s its level', (type) => {
    const { log, lines } = setUp()
    const event = { at: 1, type } as SessionEvent
    log(event)
    const level = defaultLevels[type]
    expect(lines).toEqual(level ? [[level, `sojourn: ${type}`, event]] : [])
  })

  it('writes an event that it does not know', () => {
    const { log, lines } = setUp()
    log({ at: 1, type: 'store.new' } as unknown as SessionEvent)
    expect(lines.map(([level]) => level)).toEqual(['info'])
  })

  it('takes other levels, and false for none', () => {
    const levels = { 'session.login': 'warn', 'store.retry': false } as const
    const { log, lines } = setUp({ levels })
    log(login)
    log(retry())
    expect(lines.map(([level]) => level)).toEqual(['warn'])
  })
})

describe('logEvents() in an outage', () => {
  it('writes ten lines of a type in a minute, then how many it left out', () => {
    const { clock, lines, log } = setUp()
    for (let i = 0; i < 1000; i++) {
      log(retry(clock()))
      clock.advanceMs(59)
    }
    expect(lines.length).toBe(10)
    clock.advance(1)
    log(login)
    expect(lines.slice(10)).toEqual([
      ['warn', 'sojourn: store.retry, 990 more left out', { ...kind, leftOut: 990 }],
      ['info', 'sojourn: session.login', login],
    ])
  })

  it('starts anew with the next minute', () => {
    const { clock, lines, log } = setUp({ limit: 1 })
    for (let minute = 0; minute < 3; minute++) {
      log(retry())
      log(retry())
      clock.advance(60)
    }
    expect(lines.map(([, message]) => message)).toEqual([
      'sojourn: store.retry',
      'sojourn: store.retry, 1 more left out',
      'sojourn: store.retry',
      'sojourn: store.retry, 1 more left out',
      'sojourn: store.retry',
    ])
  })

  it('says nothing when nothing was left out', () => {
    const { clock, lines, log } = setUp({ limit: 2 })
    log(retry())
    log(retry())
    clock.advance(61)
    log(login)
    expect(lines.length).toBe(3)
  })

  it('counts each type by itself, with a limit of its own', () => {
    const { lines, log } = setUp({ limit: 2, limits: { 'session.login': 3 } })
    for (let i = 0; i < 9; i++) {
      log(retry())
      log(login)
    }
    const count = (word: string) => lines.filter(([, text]) => String(text).endsWith(word)).length
    expect([count('store.retry'), count('session.login')]).toEqual([2, 3])
  })

  it('always writes the first of a new code, reason or operation', () => {
    const { clock, lines, log } = setUp()
    const about = { at: 0, type: 'store.failed', store: 'redis', attempts: 3 } as const
    const open = { ...about, operation: 'read', code: 'ERR_CIRCUIT_OPEN' }
    for (let i = 0; i < 1120; i++) log(open)
    log({ ...about, operation: 'read', code: 'ERR_STORE', reason: 'full', word: 'OOM' })
    log({ ...about, operation: 'read', code: 'ERR_STORE', reason: 'auth', word: 'NOAUTH' })
    log({ ...about, operation: 'write', code: 'ERR_STORE', reason: 'auth', word: 'NOAUTH' })
    const fields = lines.map(([, , event]) => event as { code: string; reason?: string })
    expect(fields.filter(({ code }) => code === 'ERR_CIRCUIT_OPEN')).toHaveLength(10)
    expect(fields.slice(10).map(({ reason }) => reason)).toEqual(['full', 'auth', 'auth'])
    clock.advance(60)
    log(login)
    const { at: _, attempts: __, store: ___, ...counted } = open
    expect(lines[13]).toEqual([
      'error',
      'sojourn: store.failed, 1110 more left out',
      { ...counted, leftOut: 1110 },
    ])
  })

  it('counts a mismatch by what differs, and an end not by the reason of the application', () => {
    const { clock, lines, log } = setUp({ limit: 1, limits: { 'session.ended': 2 } })
    const mismatch = { at: 0, type: 'session.binding-mismatch', session: 'x' }
    for (const by of ['userAgent', 'userAgent', 'custom']) {
      log({ ...mismatch, by } as unknown as SessionEvent)
    }
    for (let i = 0; i < 5; i++) {
      log({ at: 0, type: 'session.ended', by: 'id', count: 1, reason: `reason ${i}` })
    }
    const told = lines.map(([, , event]) => event as { by: string; reason?: string })
    expect(told.map(({ by, reason }) => [by, reason])).toEqual([
      ['userAgent', undefined],
      ['custom', undefined],
      ['id', 'reason 0'],
      ['id', 'reason 1'],
    ])
    clock.advance(60)
    log(login)
    expect(lines.slice(4, 6).map(([, text, fields]) => [text, fields])).toEqual([
      [
        'sojourn: session.binding-mismatch, 1 more left out',
        { type: 'session.binding-mismatch', by: 'userAgent', leftOut: 1 },
      ],
      ['sojourn: session.ended, 3 more left out', { type: 'session.ended', by: 'id', leftOut: 3 }],
    ])
  })

  it('keeps its memory when a store makes up codes: those beyond 200 kinds share the limit of their type', () => {
    const { clock, lines, log } = setUp({ limit: 1 })
    for (let i = 0; i < 5000; i++) log({ ...retry(), code: `CODE_${i}` } as SessionEvent)
    expect(lines).toHaveLength(201)
    clock.advance(60)
    log(login)
    expect(lines.slice(201)).toEqual([
      ['warn', 'sojourn: store.retry, 4799 more left out', { type: 'store.retry', leftOut: 4799 }],
      ['info', 'sojourn: session.login', login],
    ])
  })

  it('has at least info for whatever a user notices', () => {
    const noticed = [
      'expired',
      'missing',
      'invalid',
      'superseded',
      'reused',
      'destroyed',
      'revoked',
    ]
    const levels = noticed.map((name) => defaultLevels[`session.${name}` as SessionEvent['type']])
    expect(levels.filter((level) => level === 'debug' || level === false)).toEqual([])
  })

  it('reports what it left out in the shape of the logger', () => {
    const clock = createClock()
    const { logger, lines } = createLogger({ child() {}, fatal() {} })
    const log = logEvents(logger, { limit: 0, now: clock })
    log(retry())
    clock.advance(60)
    log(login)
    expect(lines).toEqual([
      ['warn', { ...kind, leftOut: 1 }, 'sojourn: store.retry, 1 more left out'],
    ])
  })

  it('writes everything with a limit of Infinity', () => {
    const { lines, log } = setUp({ limit: Infinity })
    for (let i = 0; i < 1000; i++) log(retry())
    expect(lines.length).toBe(1000)
  })

  it('does not wait for a clock that was set back', () => {
    const { clock, lines, log } = setUp({ limit: 1 })
    log(retry())
    clock.advance(-3600)
    log(retry())
    expect(lines.length).toBe(2)
  })
})

describe('logEvents() refuses', () => {
  const { logger } = createLogger()
  const cases: [what: string, logger: unknown, options: object, kind: string, name: string][] = [
    ['no logger', undefined, {}, 'TypeError', 'logger'],
    ['a logger without warn', { ...logger, warn: undefined }, {}, 'TypeError', 'logger'],
    ['a level that is none', logger, { levels: { 'store.retry': 'loud' } }, 'TypeError', 'retry'],
    ['null for levels', logger, { levels: null }, 'TypeError', 'levels'],
    ['true for a level', logger, { levels: { 'store.retry': true } }, 'TypeError', 'retry'],
    ['an unknown type', logger, { levels: { 'store.down': 'warn' } }, 'TypeError', 'store.down'],
    ['a negative limit', logger, { limit: -1 }, 'RangeError', 'limit'],
    [
      'a limit that is NaN',
      logger,
      { limits: { 'store.retry': Number.NaN } },
      'RangeError',
      'retry',
    ],
    ['an unknown order', logger, { first: 'level' }, 'TypeError', 'first'],
    ['an unknown option', logger, { level: 'warn' }, 'TypeError', 'level'],
  ]
  it.each(cases)('%s', async (_what, given, options, kind, name) => {
    const error = await errorOf(() => logEvents(given as Logger, options))
    expect(error.name).toBe(kind)
    expect(error.message).toContain(name)
  })
})

describe('createSessions() with onEvent: logEvents(logger)', () => {
  it('goes on when the logger throws or rejects', async () => {
    const broken = [
      () => {
        throw new Error('The disk is full')
      },
      () => Promise.reject(new Error('The disk is full')),
    ]
    for (const fail of broken) {
      const logger = { debug: fail, info: fail, warn: fail, error: fail }
      expect(() => logEvents(logger)(login)).not.toThrow()
      const { visit } = createWorld({ onEvent: logEvents(logger) })
      const { response } = await visit((session) => session.login('ann'))
      expect([response.status, response.headers.getSetCookie().length]).toEqual([200, 1])
    }
  })

  it('writes no secret, cookie, id, subject or data, whatever happens', async () => {
    const clock = createClock()
    const { logger, lines } = createLogger()
    const { store } = createCountingStore(clock)
    const faulty = createFaultyStore(store)
    const { jar, visit } = createWorld(
      { store: resilient(faulty, { sleep: async () => {} }), onEvent: logEvents(logger) },
      clock,
    )
    const secrets = new Set([SECRET])
    const keep = (): void => {
      for (const { value } of jar.cookies()) secrets.add(value)
    }
    const { session } = await visit((session) => session.set('card', 'DATA-canary-1'))
    secrets.add(session.id)
    keep()
    const signedIn = await visit((session) => session.login('SUBJECT-canary-2'))
    secrets.add(signedIn.session.id)
    keep()
    faulty.down({ type: 'throw-before', error: new StoreUnavailableError('MESSAGE-canary-3') })
    await visit()
    await visit()
    faulty.up()
    clock.advance(8 * 86_400)
    await visit()
    const text = JSON.stringify(lines)
    expect(lines.length).toBeGreaterThan(5)
    expect(text).toContain('store.degraded')
    for (const secret of [...secrets, 'canary']) expect(text.includes(secret)).toBe(false)
  })
})
