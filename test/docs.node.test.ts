import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path/posix'
import { describe, expect, it } from 'vitest'
import * as errors from '../src/errors.ts'
import { createSessions } from '../src/index.ts'
import { defaultLevels } from '../src/observe/log.ts'
import { createD1Store } from '../src/stores/d1.ts'
import { createKVStore } from '../src/stores/kv.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import { createRedisStore } from '../src/stores/redis.ts'
import { createSqlStore } from '../src/stores/sql.ts'
import type { SessionStore } from '../src/stores/store.ts'
import { createUnstorageStore } from '../src/stores/unstorage.ts'
import { createUpstashStore } from '../src/stores/upstash.ts'
import { LIMITS } from './simulation/facts.ts'
import { documents, linksOf, pagesIn, read, root } from './support/documents.ts'
import { KVDouble } from './support/kv-double.ts'

const fileOf = (path: string): string => root + path

/** The cells of the rows of a document's tables. */
const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )

const sorted = (words: Iterable<string>): string[] => [...words].sort((a, b) => (a < b ? -1 : 1))

it('documents print no secret that createSessions() would take', () => {
  const accepted = documents().flatMap((file) =>
    [...read(file).matchAll(/\bsecret"?:\s*\[?\s*['"`]([^'"`]*)['"`]/gi)]
      .map(([, secret = '']) => secret)
      .filter((secret) => !refuses(secret)),
  )
  expect(accepted).toEqual([])
  // What earlier versions of them printed.
  expect(refuses('use 32 random bytes, not this text')).toBe(true)
  expect(refuses('for tests only, and long enough for them')).toBe(true)
})

const refuses = (secret: string): boolean => {
  try {
    createSessions({ secret })
    return false
  } catch (error) {
    return error instanceof RangeError && error.message.includes('openssl rand -base64 32')
  }
}

describe('docs/README.md', () => {
  const listed = linksOf('docs/README.md').map((link) => join('docs', link))

  it('lists every page of docs/, once', () => {
    const pages = pagesIn('docs').filter((path) => path !== 'docs/README.md')
    expect(sorted(listed.filter((path) => path.startsWith('docs/')))).toEqual(sorted(pages))
  })

  it('says of each in one line what it is, as llms.txt does', () => {
    const lines = read('docs/README.md').match(/^[-*].*/gm) ?? []
    expect(lines.filter((line) => !/^- \[[^\]]+\]\(\S+\.md\): \S/.test(line))).toEqual([])
  })

  it('leads to pages that begin with their title', () => {
    for (const path of documents()) expect([path, read(path).slice(0, 2)]).toEqual([path, '# '])
  })
})

describe('docs/error-handling.md', () => {
  const rows = rowsOf(read('docs/error-handling.md'))
  const quoted = (cell = ''): string => cell.replaceAll('`', '')

  it('has a row for every code, and no other', () => {
    const [, union = ''] = /type SessionErrorCode =([^/]*)/.exec(read('src/errors.ts')) ?? []
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code = '']) => code)
    const described = rows.map(([, code]) => quoted(code)).filter((code) => /^ERR_/.test(code))
    expect(codes.length).toBeGreaterThan(15)
    expect(sorted(described)).toEqual(sorted(codes))
  })

  it('says of every class what its errors say', () => {
    const classes = Object.values(errors) as (new (...given: never[]) => errors.SessionError)[]
    for (const Class of classes) {
      const { name, code, retryable } = new Class(...(['', [], 0] as never[]))
      const row = rows.find((cells) => quoted(cells[1]) === code) ?? []
      expect([quoted(row[0]), row[2]]).toEqual([name, retryable ? 'yes' : 'no'])
    }
  })

  it('has a row for every event, with its level', () => {
    const events = rows.filter(([type]) => /^`[a-z]+\.[a-z-]+`$/.test(type ?? ''))
    const described = Object.fromEntries(events.map(([type, level]) => [quoted(type), level]))
    const levels = Object.entries(defaultLevels).map(([type, level]) => [type, level || 'off'])
    expect(described).toEqual(Object.fromEntries(levels))
  })

  it('names the properties of every event', () => {
    const types = read('src/events.ts') + read('src/stores/store.ts')
    for (const [type = '', , properties = ''] of rows) {
      for (const [, property] of properties.matchAll(/`(\w+)`/g)) {
        if (quoted(type) in defaultLevels) {
          expect(types).toMatch(new RegExp(`\\b${property}\\??: `))
        }
      }
    }
  })
})

it('docblocks of src/ open with a verb or the name of the thing', () => {
  const opening =
    /^\s*\/\*\*(?:\s*\*)? (?:What|Whether|Who|Where|When|How|Of|Those|That|Which)\b.*/gm
  const files = readdirSync(fileOf('src'), { recursive: true, encoding: 'utf8' })
  const found = files
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => [...read(`src/${path}`).matchAll(opening)].map(([line]) => path + line))
  expect(files.length).toBeGreaterThan(50)
  expect(found).toEqual([])
})

describe('ARCHITECTURE.md', () => {
  const text = read('ARCHITECTURE.md')

  it('is one page', () => {
    expect(text.split('\n').length).toBeLessThan(200)
  })

  it('names files that exist, and functions that are in them', () => {
    const places = [...text.matchAll(/`([\w/-]+\.ts)(?:#(\w+))?`/g)]
    expect(places.length).toBeGreaterThan(15)
    for (const [place, path, name = ''] of places) {
      const definition = new RegExp(`(?:function|class|const) ${name}\\b|#${name}\\(`)
      expect([
        place,
        name ? definition.test(read(`src/${path}`)) : read(`src/${path}`) !== '',
      ]).toEqual([place, true])
    }
  })

  it('names every limit that the simulation accepts', () => {
    const limits = rowsOf(text).map(([limit = '']) => limit.replaceAll('`', ''))
    expect(limits).toEqual(expect.arrayContaining([...LIMITS]))
  })

  it('leads to every behaviour within four files, this page included', () => {
    const rows = text.split('\n').filter((line) => /^\|.*\.ts#/.test(line))
    expect(rows.length).toBeGreaterThan(4)
    for (const row of rows) {
      const files = new Set([...row.matchAll(/`([\w/-]+\.ts)/g)].map(([, path]) => path))
      expect([row, files.size < 4]).toEqual([row, true])
    }
  })
})

describe('AGENTS.md', () => {
  it('names files, scripts and suites that exist', () => {
    const text = read('AGENTS.md')
    const paths = [...text.matchAll(/\b(?:src|test|docs|examples|scripts|skills)\/[\w./-]*\w/g)]
    const scripts = [...text.matchAll(/npm run (\w+)/g)].map(([, name]) => name)
    const suites = /test\.mjs (.*?) +#/.exec(text)?.[1]?.split(' ') ?? []
    expect(paths.length).toBeGreaterThan(15)
    expect(paths.map(([path]) => path).filter((path) => !existsSync(fileOf(path)))).toEqual([])
    const known = Object.keys(JSON.parse(read('package.json')).scripts)
    expect(scripts.filter((name) => !known.includes(name as string))).toEqual([])
    expect(suites.length).toBe(5)
    for (const suite of suites) expect(read('scripts/test.mjs')).toContain(`\n  ${suite}: `)
  })
})

describe('SECURITY.md', () => {
  it('names tests that exist', () => {
    const places = [...read('SECURITY.md').matchAll(/`(test\/[\w./-]+)`/g)]
    expect(places.length).toBeGreaterThan(20)
    const missing = places.filter(([, path = '']) => !existsSync(fileOf(path)))
    expect(missing.map(([, path]) => path)).toEqual([])
  })
})

describe('README.md', () => {
  const text = read('README.md')

  it('is under 200 lines', () => {
    expect(text.split('\n').length).toBeLessThan(200)
  })

  it('compares with peers in the words of the page that a script wrote', () => {
    const ofNumber = (rows: string[][]): Map<string, string[]> =>
      new Map(rows.map((cells) => [cells[0] ?? '', cells]))
    const [, section = ''] = /\n## Side by side\n([\s\S]*?)\n## /.exec(text) ?? []
    const [measured = ''] = read('docs/comparison.md').split('| sessions in a cookie |')
    const all = ofNumber(rowsOf(measured))
    const [heads = [], ...shown] = rowsOf(section)
    const columns = heads.map((name) => all.get('sessions in a store')?.indexOf(name) ?? -1)
    expect(shown.length).toBeGreaterThan(5)
    for (const cells of shown) {
      expect(cells).toEqual(columns.map((column) => all.get(cells[0] ?? '')?.[column]))
    }
  })
})

describe('docs/options.md', () => {
  it('says the defaults that the docstrings say, which are those of the code', () => {
    const told = /\(default: ([^)]*)\)(?:(?!\(default)[^/])*\*\/\n {2}(\w+)\?:/g
    const plain = (text: string): string => text.replaceAll(/(\d)[ _](?=\d{3})/g, '$1')
    const [, body = ''] =
      /interface SessionsOptions[^{]*\{([\s\S]*?)\n\}/.exec(read('src/options.ts')) ?? []
    const defaults = [...body.matchAll(told)].map(
      ([, text = '', name = '']) => [name, /^`?([\d_]+|'\w+'|false)/.exec(text)?.[1]] as const,
    )
    const literal = defaults.filter(([, value]) => value)
    const rows = rowsOf(read('docs/options.md'))
    expect(literal.length).toBeGreaterThan(12)
    for (const [name, value = ''] of literal) {
      const row = rows.find(([names]) => names?.split(', ').includes(`\`${name}\``))
      expect([name, plain(row?.[1] ?? '')]).toEqual([name, expect.stringContaining(plain(value))])
    }
  })

  it('has a row for every option', () => {
    const [, body = ''] =
      /interface SessionsOptions[^{]*\{([\s\S]*?)\n\}/.exec(read('src/options.ts')) ?? []
    const options = [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name)
    const [, ...described] = rowsOf(read('docs/options.md')).flatMap(([names = '']) =>
      names.replaceAll('`', '').split(', '),
    )
    expect(options.length).toBeGreaterThan(20)
    expect(sorted(described)).toEqual(sorted(options as string[]))
  })
})

describe('docs/sessions.md', () => {
  it('tells what every status means', () => {
    const [, union = ''] = /type SessionStatus =([^/]*)/.exec(read('src/session/session.ts')) ?? []
    const statuses = [...union.matchAll(/'(\w+)'/g)].map(([, status]) => status as string)
    const rows = rowsOf(read('docs/sessions.md'))
    const described = rows.flatMap(([name = '']) => /^`([a-z]+)`$/.exec(name)?.[1] ?? [])
    expect(statuses.length).toBeGreaterThan(7)
    expect(statuses.filter((status) => !described.includes(status))).toEqual([])
  })
})

describe('docs/choosing-a-store.md', () => {
  const [head = [], ...rows] = rowsOf(read('docs/choosing-a-store.md'))
  const columnOf = (name: string): Record<string, string> =>
    Object.fromEntries(rows.map((cells) => [cells[0], cells[head.indexOf(name)] ?? '']))

  const namespace = new KVDouble({ now: Date.now }).at('here')
  const nothing = async (): Promise<never> => {
    throw new Error('Nothing is called')
  }
  const storage = { getItem: nothing, setItem: nothing, removeItem: nothing, getKeys: nothing }
  const database = { prepare: nothing as never }
  const stores: Record<string, SessionStore> = {
    memory: createMemoryStore(),
    Redis: createRedisStore({ send: nothing }),
    Upstash: createUpstashStore({ url: 'https://a.example', token: 'token' }),
    SQL: createSqlStore({ dialect: 'sqlite', query: nothing }),
    D1: createD1Store({ database }),
    KV: createKVStore({ namespace }),
    unstorage: createUnstorageStore({ storage }),
  }

  it('has a column for every store, and every cell is filled', () => {
    const columns = ['', 'cookie', ...Object.keys(stores), 'Durable Objects', '`cached()` in front']
    expect(sorted(head)).toEqual(sorted(columns))
    for (const name of head.slice(1)) {
      const column = columnOf(name)
      const path = column.import?.replace(
        /^`sojourn\/?(.*)`$/,
        (_, store) => store && `stores/${store}`,
      )
      expect(read(`src/${path || 'index'}.ts`)).toContain('@module')
      expect(Object.values(column).filter((cell) => !cell)).toEqual([])
    }
    expect(rows.every((cells) => cells.length === head.length)).toBe(true)
  })

  it.each(Object.entries(stores))('says of %s what the store says', (name, store) => {
    const column = columnOf(name)
    const yes = (flag: unknown): string => (flag ? 'yes' : 'no')
    const first = (cell = ''): string => cell.split(',')[0] ?? ''
    expect({
      atomic: column['atomic: compare-and-set'],
      list: first(column['`list`, `revokeAll`']),
      all: column['`all`'],
    }).toEqual({ atomic: yes(store.atomic), list: yes(store.index), all: yes(store.page) })
  })

  it('says of Durable Objects what their source says', () => {
    const source = read('src/stores/durable-object.ts')
    const column = columnOf('Durable Objects')
    expect(source).toContain('atomic: true')
    expect(source).not.toMatch(/^ {4}(async )?page\(/m)
    expect([
      column['atomic: compare-and-set'],
      column['`list`, `revokeAll`'],
      column['`all`'],
    ]).toEqual(['yes', 'yes', 'no'])
  })
})
