import { describe, expect, it } from 'vitest'
import {
  CircuitOpenError,
  StoreError,
  type StoreReason,
  StoreTimeoutError,
} from '../../src/errors.ts'
import { because, becauseOf, failureOf, reasonOf } from '../../src/stores/errors.ts'
import { sqlReasonOf } from '../../src/stores/sql-errors.ts'

const words: Record<StoreReason, string> = {
  auth: 'NOAUTH WRONGPASS NOPERM EACCES 28000 28P01 42501 SQLITE_AUTH SQLITE_PERM ER_ACCESS_DENIED_ERROR ER_DBACCESS_DENIED_ERROR',
  full: 'OOM ENOSPC EDQUOT 53100 53200 SQLITE_FULL SQLITE_NOMEM ER_DISK_FULL ER_RECORD_FILE_FULL ER_OUTOFMEMORY',
  'read-only':
    'READONLY MISCONF NOREPLICAS EROFS 25006 SQLITE_READONLY ER_OPTION_PREVENTS_STATEMENT ER_READ_ONLY_MODE',
  loading: 'LOADING BUSY 57P01 57P03 ER_SERVER_SHUTDOWN',
  'too-large': '54000 22001 SQLITE_TOOBIG ER_NET_PACKET_TOO_LARGE ER_DATA_TOO_LONG',
  rate: '53300 SQLITE_BUSY SQLITE_LOCKED ER_CON_COUNT_ERROR ER_TOO_MANY_USER_CONNECTIONS',
  quota: '53400 ER_USER_LIMIT_REACHED',
  cluster: 'CROSSSLOT MOVED ASK TRYAGAIN CLUSTERDOWN MASTERDOWN',
  timeout: '57014 55P03 ETIMEDOUT ER_LOCK_WAIT_TIMEOUT ER_QUERY_TIMEOUT',
  network:
    '08006 ECONNREFUSED ECONNRESET EPIPE ENOTFOUND EHOSTUNREACH EAI_AGAIN PROTOCOL_CONNECTION_LOST',
  unknown: 'ERR 42601 D1_COLUMN_NOTFOUND SQLITE_ERROR SQLITE_CONSTRAINT WRONGTYPE',
}

const texts: Record<string, StoreReason> = {
  'ERR max daily request limit exceeded. Limit: 10000, Usage: 10001': 'quota',
  'ERR max requests limit exceeded. Limit: 500000, Usage: 500000': 'quota',
  'ERR max request size exceeded. Limit: 1048576 bytes': 'too-large',
  'ERR max concurrent connections exceeded': 'rate',
  'ERR max number of clients reached': 'rate',
  'ERR DB capacity quota exceeded. Consider upgrading': 'full',
  'ERR string exceeds maximum allowed size (proto-max-bulk-len)': 'too-large',
  'Unauthorized: invalid or missing auth token': 'auth',
  'KV put() limit exceeded for the day.': 'quota',
  'Too many subrequests by single Worker invocation.': 'quota',
  'Too many API requests by single worker invocation.': 'quota',
  'D1_ERROR: D1 DB is overloaded. Requests queued for too long.': 'rate',
  'D1_ERROR: Exceeded maximum DB size': 'full',
  'D1 DB storage operation exceeded timeout which caused object to be reset.': 'timeout',
  'D1_ERROR: Network connection lost.': 'network',
  "D1_ERROR: Your account has exceeded D1's maximum account storage limit, please contact Cloudflare to raise your limit":
    'full',
  'Durable Object is overloaded. Requests queued for too long.': 'rate',
  'Exceeded allowed duration in Durable Objects free tier.': 'quota',
  'Durable Object reset because its code was updated.': 'loading',
  'fetch failed': 'network',
  'Connection is closed.': 'network',
  'Command timed out': 'timeout',
  'Reached the max retries per request limit (which is 1).': 'network',
  '[unstorage] [redis] storage of large size, and a length': 'unknown',
  'No space left: database or disk is full': 'full',
  'string or blob too big': 'too-large',
  'something else': 'unknown',
}

describe('reasonOf()', () => {
  it.each(Object.entries(words))('classes words as %s', (reason, list) => {
    for (const word of list.split(' ')) {
      expect([word, because(word).word, sqlReasonOf(word)]).toEqual([word, word, reason])
    }
  })

  it.each(Object.entries(texts))('classes the text %j as %s', (text, reason) => {
    expect(because(undefined, text)).toEqual({ reason, word: undefined })
  })

  it('classes HTTP statuses', () => {
    const statuses = [401, 403, 408, 413, 429, 504, 500, 503, 418]
    expect(statuses.map((status) => reasonOf(status))).toEqual([
      'auth',
      'auth',
      'timeout',
      'too-large',
      'rate',
      'timeout',
      'unknown',
      'unknown',
      'unknown',
    ])
    expect(reasonOf(undefined)).toBe('unknown')
  })
})

describe('because()', () => {
  it('tells no word that does not have the form of one', () => {
    const never = ['sojourn:s:abc', 'Oom', 'AB', 'OOM command', 'x53100', '531000', 'A'.repeat(21)]
    const more = ['ERR_STORE', '', 'SQLITE_', 'D1_error', '5310é', 'OOM\n', 42, null, {}]
    for (const word of [...never, ...more]) expect(because(word).word).toBe(undefined)
  })

  it('prefers what the word says over what the text says', () => {
    expect(because('OOM', 'connection lost')).toEqual({ reason: 'full', word: 'OOM' })
    expect(because('ERR', 'max daily request limit')).toEqual({ reason: 'quota', word: 'ERR' })
  })
})

describe('becauseOf()', () => {
  const failure = (message: string, more: object = {}) => Object.assign(new Error(message), more)

  it('reads the code of an error, that of its cause, and an HTTP status', () => {
    const cause = failure('connect', { code: 'ECONNREFUSED' })
    expect(becauseOf(new TypeError('fetch failed', { cause }))).toEqual({
      reason: 'network',
      word: 'ECONNREFUSED',
    })
    expect(becauseOf(failure('no', { statusCode: 413 }))).toEqual({ reason: 'too-large' })
  })

  it('takes a code, or the first word of a text, only where a store is known to say it', () => {
    expect(becauseOf(failure('OOM command not allowed'))).toEqual({ reason: 'full', word: 'OOM' })
    expect(becauseOf(failure('CANARY is a secret'))).toEqual({ reason: 'unknown' })
    expect(becauseOf(failure('no', { code: 'CANARY' }))).toEqual({ reason: 'unknown' })
  })

  it('takes the word of an error of another copy of the package, and never its code', () => {
    const copy = { code: 'ERR_STORE', reason: 'full', word: 'OOM' }
    expect(becauseOf(failure('Redis refused a command', copy))).toEqual({
      reason: 'full',
      word: 'OOM',
    })
    expect(becauseOf(failure('no', { code: 'ERR_STORE' }))).toEqual({ reason: 'unknown' })
  })

  it('takes anything that can be thrown', () => {
    for (const thrown of [undefined, null, 'text', 4, Symbol('s'), Object.create(null)]) {
      expect(becauseOf(thrown)).toEqual({ reason: 'unknown' })
    }
  })
})

describe('failureOf()', () => {
  it('tells code, class and word', () => {
    const error = new StoreError('refused', because('OOM'))
    expect(failureOf(error)).toEqual({ code: 'ERR_STORE', reason: 'full', word: 'OOM' })
    expect(failureOf(new StoreError('refused'))).toEqual({ code: 'ERR_STORE', reason: 'unknown' })
    expect(failureOf(new StoreTimeoutError('late'))).toEqual({
      code: 'ERR_STORE_TIMEOUT',
      reason: 'timeout',
    })
    expect(failureOf(new TypeError('x'))).toEqual({ code: 'ERR_STORE', reason: 'unknown' })
  })

  it('tells no class where a breaker was open: nobody was asked', () => {
    expect(failureOf(new CircuitOpenError('open'))).toEqual({ code: 'ERR_CIRCUIT_OPEN' })
  })
})
