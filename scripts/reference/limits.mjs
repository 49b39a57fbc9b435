/** Writes the page of fixed limits: sentences from here, numbers from the source. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run.mjs'
import { HEAD } from './render.mjs'

/** Constant, file, unit, what it limits, and what happens beyond it. */
const LIMITS = [
  [
    'MIN_SECRET_BYTES',
    'secret.ts',
    'bytes',
    'The shortest secret',
    '`createSessions` throws a RangeError',
  ],
  [
    'MAX_TIMEOUT',
    'check.ts',
    'seconds',
    'The longest timeout of any option',
    '`createSessions` throws a RangeError',
  ],
  [
    'MAX_SUBJECT',
    'check.ts',
    'characters',
    'The longest subject of `login`',
    '`login` throws a TypeError',
  ],
  [
    'MAX_DEPTH',
    'codec/values.ts',
    'levels',
    'The deepest nesting of a value',
    '`set` throws `SessionSerializationError`',
  ],
  [
    'MAX_COOKIE_BYTES',
    'transport/cookie.ts',
    'bytes',
    'One cookie, its name and value together (RFC 6265bis)',
    'browsers drop it, so `CookieTooLargeError` instead',
  ],
  [
    'MAX_CHUNKS',
    'transport/cookie.ts',
    'cookies',
    'Cookies that one session is divided into',
    '`CookieTooLargeError`; with a store the snapshot is left out',
  ],
  [
    'MAX_COOKIE_AGE',
    'transport/cookie.ts',
    'seconds',
    'Lifetime of a cookie (RFC 6265bis: 400 days)',
    '`createSessions` throws a RangeError for a longer `cookie.maxAge`',
  ],
  [
    'GRACE_MS',
    'persistence/newest.ts',
    'milliseconds',
    'Time for which a request may be under way with a credential that a rotation replaced',
    'then the cookie was copied: `session.reused`, `missing`',
  ],
  [
    'LAG_SECONDS',
    'stores/limits.ts',
    'seconds',
    'Time for which a store without compare-and-set may lag',
    'then what it says is believed',
  ],
  [
    'DEFERRED_MS',
    'persistence/deferred.ts',
    'milliseconds',
    'Time for which a deferred write waits in its cookie',
    'it is dropped with `commit.dropped`',
  ],
  [
    'MARK_SECONDS',
    'stores/limits.ts',
    'seconds',
    'Time for which a store remembers that a session has ended',
    'a write that comes later finds nothing, and is refused as well',
  ],
  [
    'MAX_ENTRIES',
    'stores/limits.ts',
    'entries',
    'Entries that a store appends to one record',
    'the next write replaces the record, with all of them merged',
  ],
  [
    'MAX_ENTRIES_LENGTH',
    'stores/limits.ts',
    'characters',
    'All entries of one record together',
    'the next write replaces the record, with all of them merged',
  ],
  [
    'MAX_BYTES',
    'codec/compress.ts',
    'bytes',
    'Data that `compress` deflates and inflates',
    'larger values are stored as they are',
  ],
  [
    'MAX_TEXT',
    'session/once.ts',
    'characters',
    'The longest result of `once` that is handed to waiting requests',
    'they read it from the store',
  ],
  [
    'MIN_TTL',
    'stores/kv.ts',
    'seconds',
    'The shortest lifetime of anything in Cloudflare KV',
    'expiry is exact all the same: the store checks it',
  ],
  [
    'MAX_MARKS',
    'stores/memory.ts',
    'sessions',
    'Ended sessions that the memory store remembers',
    'the oldest are forgotten',
  ],
  [
    'MAX_TOKEN',
    'seal.ts',
    'characters',
    'The longest token that `seal` makes and `open` reads',
    '`seal` throws, `open` returns `null`',
  ],
]

function numberOf(name, file) {
  const source = readFileSync(join(root, 'src', file), 'utf8')
  const [, digits] = new RegExp(`\\bconst ${name}(?:: number)? = ([\\d_ *]+)\\n`).exec(source) ?? []
  if (!digits) throw new Error(`src/${file} has no constant ${name}`)
  return digits
    .replaceAll('_', '')
    .split('*')
    .reduce((product, factor) => product * Number(factor), 1)
    .toLocaleString('en')
}

export const limitsPage = () =>
  [
    '# Limits',
    'Limits that no option changes, with the numbers of the source.',
    HEAD,
    ['| | limit | beyond it |', '| --- | --- | --- |', ...LIMITS.map(rowOf)].join('\n'),
    'Limits of options stand with the [option](sojourn.md#sessionsoptions).\n',
  ].join('\n\n')

const rowOf = ([name, file, unit, what, beyond]) =>
  `| ${what} | ${numberOf(name, file)} ${unit} | ${beyond} |`
