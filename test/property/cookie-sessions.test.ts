import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CookieTooLargeError,
  createSessions,
  type Session,
  SessionSerializationError,
  type Sessions,
} from '../../src/index.ts'
import { jsonObjects, jsonValues } from './arbitraries.ts'

const SECRET = 'one secret for the property tests'
const OTHER = 'another secret for the property tests'
const NAME = '__Host-session'

const cookie = { maxChunks: 4 }
const writer = createSessions({ secret: SECRET, cookie })
// Remembers nothing, so that it has to open every cookie.
const reader = createSessions({ secret: SECRET, cookie, cache: false })

/** What a browser would send back. */
function headerOf(lines: readonly string[]): string {
  return lines.map((line) => line.slice(0, line.indexOf(';'))).join('; ')
}

async function fill(sessions: Sessions, data: object): Promise<Session> {
  const session = await sessions.open(null)
  for (const [key, value] of Object.entries(data)) session.set(key, value)
  return session
}

/** Saves data and returns the cookie; `null` when they are too large for one. */
async function saved(data: object, sessions = writer): Promise<string | null> {
  return saveOf(await fill(sessions, data), sessions)
}

async function saveOf(session: Session, sessions = writer): Promise<string | null> {
  return sessions.save(session).then(headerOf, (error) => {
    if (error instanceof CookieTooLargeError && error.size > error.limit) return null
    throw error
  })
}

/** Every array and object inside of a value, itself included. */
function objectsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  return [value, ...Object.values(value).flatMap(objectsIn)]
}

function expectUntouchedPrototypes(value: unknown): void {
  for (const object of objectsIn(value)) {
    const expected = Array.isArray(object) ? Array.prototype : Object.prototype
    expect(Object.getPrototypeOf(object)).toBe(expected)
  }
  expect(({} as { polluted?: unknown }).polluted).toBe(undefined)
}

function expectFrozen(value: unknown): void {
  for (const object of objectsIn(value)) {
    expect(Object.isFrozen(object)).toBe(true)
    const open = object as Record<string, unknown>
    expect(() => {
      open.added = 1
    }).toThrow(TypeError)
    for (const key of Object.keys(open)) {
      expect(() => {
        // An assignment to "__proto__" would be a call of its setter.
        Object.defineProperty(open, key, { value: 'changed' })
      }).toThrow(TypeError)
      expect(() => {
        delete open[key]
      }).toThrow(TypeError)
    }
  }
}

async function expectInvalid(header: string, sessions = reader): Promise<void> {
  const session = await sessions.open(header)
  expect([header, session.status, session.data]).toEqual([header, 'invalid', {}])
  expect(session.subject).toBe(null)
}

describe('a session in a cookie', () => {
  it('is read as it was saved, whatever JSON it holds', async () => {
    let tooLarge = 0
    await fc.assert(
      fc.asyncProperty(jsonObjects, async (data) => {
        const header = await saved(data)
        if (header === null) {
          tooLarge++
          return
        }
        for (const sessions of [reader, writer]) {
          const session = await sessions.open(header)
          expect(session.status).toBe('active')
          expect(JSON.stringify(session.data)).toBe(JSON.stringify(data))
          expectUntouchedPrototypes(session.data)
          for (const key of Object.keys(data)) {
            expect(session.has(key)).toBe(true)
            expect(JSON.stringify(session.get(key))).toBe(JSON.stringify(data[key]))
          }
        }
      }),
      { numRuns: 500 },
    )
    expect(tooLarge).toBeLessThan(50)
  })

  it('is read as it was before it was saved', async () => {
    await fc.assert(
      fc.asyncProperty(jsonObjects, async (data) => {
        const session = await fill(writer, data)
        expect(JSON.stringify(session.data)).toBe(JSON.stringify(data))
        expectUntouchedPrototypes(session.data)
      }),
    )
  })

  it('has no negative zero, as JSON has none', async () => {
    const session = await fill(writer, { zero: -0, list: [-0] })
    expect([1 / session.get('zero'), 1 / session.get('list')[0]]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ])
  })

  it('says nothing to the browser when the same is set again', async () => {
    await fc.assert(
      fc.asyncProperty(jsonObjects, async (data) => {
        const header = await saved(data)
        if (header === null) return
        const session = await reader.open(header)
        for (const [key, value] of Object.entries(data)) session.set(key, value)
        expect(await reader.save(session)).toEqual([])
      }),
    )
  })

  it('gives flash values to the next request as they were, and once', async () => {
    await fc.assert(
      fc.asyncProperty(jsonObjects, async (flash) => {
        const session = await writer.open(null)
        for (const [key, value] of Object.entries(flash)) session.flash(key, value)
        const header = await saveOf(session)
        if (header === null) return
        const next = await reader.open(header)
        for (const [key, value] of Object.entries(flash)) {
          const got = next.flash(key)
          expect(JSON.stringify(got)).toBe(JSON.stringify(value))
          expectFrozen(got)
          expect(next.flash(key)).toBe(undefined)
        }
        expect(next.data).toEqual({})
        const lines = await reader.save(next)
        expect(lines).toHaveLength(header.split('; ').length)
        const after = await reader.open(headerOf(lines))
        for (const key of Object.keys(flash)) expect(after.flash(key)).toBe(undefined)
      }),
    )
  })

  it('forgets a key that is unset, however it is called', async () => {
    await fc.assert(
      fc.asyncProperty(jsonObjects, async (data) => {
        const session = await fill(writer, { ...data, kept: 1 })
        for (const key of Object.keys(data)) if (key !== 'kept') session.unset(key)
        expect(Object.keys(session.data)).toEqual(['kept'])
        expectUntouchedPrototypes(session.data)
      }),
    )
  })

  it('has nothing under the names that every object has', async () => {
    const session = await writer.open(null)
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect([session.get(key), session.has(key), session.flash(key)]).toEqual([
        undefined,
        false,
        undefined,
      ])
    }
  })

  it('is as deep as 1,000 levels and no deeper', async () => {
    const nested = (depth: number): unknown =>
      Array.from({ length: depth }).reduce<unknown>((inner) => [inner], 1)
    const header = await saved({ deep: nested(1000) })
    const { data } = await reader.open(header)
    expect(JSON.stringify(data)).toBe(JSON.stringify({ deep: nested(1000) }))
    const session = await writer.open(null)
    for (const depth of [1001, 5000]) {
      expect(() => session.set('deep', nested(depth))).toThrow(SessionSerializationError)
    }
  })
})

/** One way to tamper with a text, at two places of it. */
type Mutation = (text: string, from: number, to: number, character: string) => string

const MUTATIONS: readonly Mutation[] = [
  (text, from, _to, character) => text.slice(0, from) + character + text.slice(from),
  (text, from, _to, character) => text.slice(0, from) + character + text.slice(from + 1),
  (text, from, to) => text.slice(from, to),
  (text, from, to) => text.slice(0, from) + text.slice(to),
  (text, from, to) => text + text.slice(from, to),
  (text, from, to) => {
    const characters = [...text]
    ;[characters[from], characters[to]] = [characters[to] ?? '', characters[from] ?? '']
    return characters.join('')
  },
]
const CHARACTERS = [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
  ...'+/=%",:\\é€\0\u00a0\ufeff',
]

const tampered = fc.array(
  fc.record({
    mutation: fc.constantFrom(...MUTATIONS),
    places: fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
    character: fc.constantFrom(...CHARACTERS),
  }),
  { minLength: 1, maxLength: 3 },
)

describe('a cookie that was tampered with', () => {
  it('is invalid, empty, and never an error', async () => {
    const value = (await saved({ visits: 1, name: 'someone' }))!.slice(NAME.length + 1)
    await fc.assert(
      fc.asyncProperty(tampered, async (steps) => {
        const changed = steps.reduce((text, { mutation, places, character }) => {
          const [from, to] = places
            .map((part) => Math.round(part * text.length))
            .sort((a, b) => a - b)
          return mutation(text, from!, to!, character)
        }, value)
        fc.pre(changed !== value)
        await expectInvalid(`${NAME}=${changed}`)
      }),
      { numRuns: 2000 },
    )
  })

  it('is invalid with any one character changed, at every place', async () => {
    const value = (await saved({ visits: 1 }))!.slice(NAME.length + 1)
    for (let at = 0; at < value.length; at++) {
      for (const character of 'AQgw_9-.') {
        if (character === value[at]) continue
        await expectInvalid(`${NAME}=${value.slice(0, at)}${character}${value.slice(at + 1)}`)
      }
      await expectInvalid(`${NAME}=${value.slice(0, at)}`)
    }
  })

  it('is invalid under another name', async () => {
    const renamed = createSessions({ secret: SECRET, cookie: { name: 'sid' }, cache: false })
    const header = (await saved({ visits: 1 }))!
    await expectInvalid(header.replace(NAME, 'sid'), renamed)
    const other = (await saved({ visits: 1 }, renamed))!
    await expectInvalid(other.replace('sid', NAME))
  })

  it('is invalid under another secret, until that is added', async () => {
    const header = (await saved({ visits: 1 }))!
    await expectInvalid(header, createSessions({ secret: OTHER }))
    const both = createSessions({ secret: [OTHER, SECRET] })
    expect((await both.open(header)).data).toEqual({ visits: 1 })
  })

  it('is invalid when its chunks are missing, swapped, mixed or miscounted', async () => {
    const random = (): string =>
      Array.from(crypto.getRandomValues(new Uint8Array(9000)), (byte) => byte % 10).join('')
    const [one, two] = [(await saved({ x: random() }))!, (await saved({ x: random() }))!]
    const [first, second, third] = one.split('; ').map((pair) => pair.slice(pair.indexOf('=') + 1))
    const foreign = two.split('; ').map((pair) => pair.slice(pair.indexOf('=') + 1))
    const header = (...values: (string | undefined)[]): string =>
      values
        .map((value, i) => (value === undefined ? '' : `${NAME}${i ? `.${i}` : ''}=${value}`))
        .filter(Boolean)
        .join('; ')
    expect((await reader.open(header(first, second, third))).status).toBe('active')
    const swapped = header(first, second, third).split('; ').reverse().join('; ')
    expect((await reader.open(swapped)).status).toBe('active')
    for (const hostile of [
      header(first),
      header(first, second),
      header(first, undefined, third),
      header(first, third, second),
      header(first, second, second),
      header(first, second, foreign[2]),
      header(foreign[0], second, third),
      header(first!.replace('3.', '2.'), second, third),
      header(first!.replace('3.', '4.'), second, third, third),
      header(first!.replace('3.', ''), second, third),
      header(first!.replace('3.', '9.'), second, third),
      header(first!.replace('3.', '3'), second, third),
      header(`${first}.`, second, third),
    ]) {
      await expectInvalid(hostile)
    }
    expect((await reader.open(header(undefined, second, third))).status).toBe('invalid')
  })

  it('is replaced once something is written', async () => {
    const unused = await reader.open(`${NAME}=forged`)
    expect(await reader.save(unused)).toEqual([])
    const used = await reader.open(`${NAME}=forged`)
    used.set('visits', 1)
    expect((await reader.open(headerOf(await reader.save(used)))).data).toEqual({ visits: 1 })
  })
})

class Money {
  amount = 1
}
const cycle: { self?: unknown } = {}
cycle.self = [cycle]

const LOST: readonly (readonly [string, unknown])[] = [
  ['a Date', new Date(0)],
  ['an invalid Date', new Date(Number.NaN)],
  ['a Map', new Map([['a', 1]])],
  ['a Set', new Set([1])],
  ['a WeakMap', new WeakMap()],
  ['a BigInt', 1n],
  ['a function', () => 1],
  ['a class', Money],
  ['a symbol', Symbol('s')],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['a class instance', new Money()],
  ['an error', new Error('e')],
  ['a regular expression', /e/],
  ['a promise', Promise.resolve()],
  ['bytes', new Uint8Array(1)],
  ['a buffer', new ArrayBuffer(1)],
  ['a URL', new URL('https://example.com')],
  ['a number object', Object(1)],
  ['a string object', Object('s')],
  ['a generator', (function* () {})()],
]

/** A way into a value: keys that are plain words, and indices. */
const paths = fc.array(fc.oneof(fc.constantFrom('a', 'items', 'price'), fc.nat(3)), {
  maxLength: 5,
})

function wrap(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduceRight(
    (inner: unknown, step) =>
      typeof step === 'number'
        ? [...Array.from({ length: step }, () => 0), inner, 'after']
        : { before: null, [step]: inner, after: {} },
    value,
  )
}

const nameOf = (path: readonly (string | number)[]): string =>
  path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')

/** The error of `fn`, which has to be one of serialization. */
function refusal(fn: () => void): SessionSerializationError {
  try {
    fn()
  } catch (error) {
    if (error instanceof SessionSerializationError) return error
    throw error
  }
  throw new Error('Expected a SessionSerializationError')
}

describe('a value that JSON would lose', () => {
  it.each(LOST)('is refused wherever it is: %s', async (_kind, lost) => {
    const session = await fill(writer, { kept: 1 })
    await fc.assert(
      fc.asyncProperty(paths, async (path) => {
        const value = wrap(lost, path)
        for (const [fn, root] of [
          [() => session.set('key', value), 'key'],
          [() => session.update('key', () => value), 'key'],
          [() => session.flash('key', value), 'flash.key'],
        ] as const) {
          const error = refusal(fn)
          expect(error.path).toBe(root + nameOf(path))
          expect(error.code).toBe('ERR_SESSION_SERIALIZATION')
        }
        expect(session.data).toEqual({ kept: 1 })
      }),
      { numRuns: 30 },
    )
  })

  it('is refused when it is undefined in an array, or a hole in one', async () => {
    const session = await writer.open(null)
    // biome-ignore lint/suspicious/noSparseArray: the hole is what is tested.
    expect(refusal(() => session.set('key', { list: [1, , 3] })).path).toBe('key.list[1]')
    expect(refusal(() => session.set('key', { list: [1, undefined] })).path).toBe('key.list[1]')
  })

  it('is refused when it contains itself', async () => {
    const session = await writer.open(null)
    expect(refusal(() => session.set('key', cycle)).path).toMatch(/^key\.self\[0\]\.self/)
    const list: unknown[] = []
    list.push({ list })
    expect(refusal(() => session.set('key', list)).path).toMatch(/^key\[0\]\.list\[0\]/)
  })

  it('is no value that merely occurs twice, or that lacks a value or a prototype', async () => {
    const twice = { a: [1] }
    const bare = Object.assign(Object.create(null), { b: 1 })
    const session = await fill(writer, { key: [twice, twice, bare, { gone: undefined }] })
    expect(JSON.stringify(session.get('key'))).toBe('[{"a":[1]},{"a":[1]},{"b":1},{}]')
  })

  it('shows nothing of itself in the error', async () => {
    const session = await writer.open(null)
    const error = refusal(() => session.set('key', ['hunter2', Symbol('hunter2')]))
    expect(`${error.message} ${error.path} ${JSON.stringify(error)}`).not.toContain('hunter2')
  })
})

describe('data handed out', () => {
  it('are frozen at every depth, before and after they were saved', async () => {
    await fc.assert(
      fc.asyncProperty(jsonObjects, async (data) => {
        const session = await fill(writer, data)
        expectFrozen(session.data)
        const header = await saved(data)
        if (header === null) return
        for (const sessions of [reader, writer]) expectFrozen((await sessions.open(header)).data)
      }),
    )
  })

  it('are copies: what was set can be changed and frozen without them', async () => {
    await fc.assert(
      fc.asyncProperty(jsonValues, async (value) => {
        const text = JSON.stringify(value)
        const session = await writer.open(null)
        session.set('key', value)
        for (const object of objectsIn(value)) {
          expect(Object.isFrozen(object)).toBe(false)
          Object.defineProperty(object, 'changed', { value: 1, enumerable: true })
        }
        expect(JSON.stringify(session.get('key'))).toBe(text)
      }),
    )
  })

  it('throw in the caller that forgets it, and stay as they were', async () => {
    const session = await fill(writer, { cart: { items: [{ price: 1 }] } })
    const { cart } = session.data as { cart: { items: { price: number }[] } }
    expect(() => {
      cart.items[0]!.price = 2
    }).toThrow(TypeError)
    expect(() => cart.items.push({ price: 3 })).toThrow(TypeError)
    expect(session.data).toEqual({ cart: { items: [{ price: 1 }] } })
  })
})
