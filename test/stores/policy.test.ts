import { describe, expect, it } from 'vitest'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { ResilientPolicy } from '../../src/stores/resilient-policy.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { outcomeOf } from '../resilience/world.ts'
import { createWorld } from '../support/sessions.ts'

/** A policy function that answers, or throws, what it is told to. */
function setUp(answer: unknown = { attempts: 2 }) {
  let current = answer
  let asked = 0
  const faulty = createFaultyStore(createMemoryStore())
  const quick = { sleep: async () => {}, breaker: false as const, budget: false as const }
  const store = resilient(faulty, () => {
    asked++
    if (current instanceof Error) throw current
    if (Object(current) !== current || current instanceof Promise) return current as ResilientPolicy
    return { ...quick, ...(current as ResilientPolicy) }
  })
  const messages: string[] = []
  store.subscribe?.((event) => {
    if (event.type === 'policy.invalid') messages.push(event.message)
  })
  const attempts = async (): Promise<number> => {
    faulty.down()
    const before = faulty.calls.length
    await outcomeOf(store.read('id'))
    faulty.up()
    return faulty.calls.length - before
  }
  return {
    attempts,
    change: (answer: unknown) => {
      current = answer
    },
    count: () => asked,
    messages,
    store,
  }
}

describe('a policy that is a function', () => {
  it.each([
    [{ attemps: 1 }, /Unknown option "attemps", expected one of .*attempts/],
    [{ attempts: 0 }, /Option "attempts" must be a number from 1 to \d+, got 0/],
    [{ attemptTimeoutMs: 9, deadlineMs: 8 }, /"attemptTimeoutMs" must be at most deadlineMs \(8\)/],
    [{ operations: { reed: {} } }, /Unknown option "operations.reed", expected one of read, write/],
    [{ operations: { read: { attempts: 'canary' } } }, /"attempts" must be .*, got string/],
    [{ breaker: { read: { openMs: -1 } } }, /Option "openMs" must be a number greater than 0/],
    [new RangeError('canary-5f2c'), /^The policy function failed \(RangeError\)$/],
    [Promise.resolve({ attempts: 9 }), /"policy" must be a plain object, got a promise: await it/],
    [null, /"policy" must be a plain object, got null/],
  ])(
    'stays as it was when its answer is wrong, and says so once: case %#',
    async (wrong, words) => {
      const { attempts, change, messages, store } = setUp()
      expect(await attempts()).toBe(2)
      change(wrong)
      for (let i = 0; i < 10; i++) {
        expect(await outcomeOf(store.read('id'))).toEqual({ value: null })
        expect(await attempts()).toBe(2)
      }
      expect(messages).toEqual([expect.stringMatching(words)])
      expect(store.details?.().policy).toBe(messages[0])
      expect(messages.join().includes('canary')).toBe(false)
      change({ attempts: 1 })
      expect(await attempts()).toBe(1)
      expect('policy' in (store.details?.() ?? {})).toBe(false)
      change(wrong)
      await attempts()
      expect(messages.length).toBe(2)
    },
  )

  it('is refused when it is made, while somebody can see it', () => {
    expect(() => setUp({ attempts: 0 })).toThrow(RangeError)
    expect(() => setUp(new Error('no settings'))).toThrow('no settings')
    expect(() => setUp(undefined)).not.toThrow()
    expect(() => setUp(null)).toThrow(/"policy" must be a plain object, got null/)
  })

  it('may change the object that it returned: the change is checked too', async () => {
    const settings: { attempts: number; operations: { read?: { attempts: number } } } = {
      attempts: 2,
      operations: {},
    }
    const { attempts, messages } = setUp(settings)
    expect(await attempts()).toBe(2)
    settings.operations.read = { attempts: 3 }
    expect(await attempts()).toBe(3)
    settings.operations.read.attempts = 0
    expect([await attempts(), messages.length]).toEqual([3, 1])
    settings.operations.read.attempts = 1
    expect([await attempts(), messages.length]).toEqual([1, 1])
  })

  it('that is wrong shows in health(), and fails no session', async () => {
    const { change, store } = setUp()
    const { sessions, types, visit } = createWorld({ store })
    await visit((session) => session.set('n', 1))
    change({ attempts: Number.NaN })
    const { session } = await visit((session) => session.set('n', 2))
    expect(session.get('n')).toBe(2)
    const { ok, store: about } = await sessions.health()
    expect([ok, about?.details?.policy]).toEqual([
      true,
      'Option "attempts" must be a number from 1 to 2147483647, got NaN',
    ])
    expect(types().filter((type) => type === 'policy.invalid').length).toBe(1)
  })
})
