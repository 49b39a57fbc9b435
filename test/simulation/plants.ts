/** Faults that are put in on purpose: a simulation that does not find them proves nothing. */
import type {
  SessionStore,
  StoreCallOptions,
  StoredRecord,
  WriteOptions,
} from '../../src/stores/store.ts'
import { wrapMethods } from './network.ts'
import type { Plant } from './plant-source.ts'
import { BOUND_PLANTS } from './plants-bound.ts'

/** Every write succeeds, whatever is there. */
function overwriting(store: SessionStore): SessionStore {
  return wrapMethods(store, async (name, args, run) => {
    if (name !== 'write') return run(args)
    const [id, record, , ...rest] = args as [string, StoredRecord, ...unknown[]]
    const there = await store.read(id)
    return run([id, record, there?.version ?? null, ...rest])
  })
}

/** Sessions do not end. */
function undying(store: SessionStore): SessionStore {
  return wrapMethods(store, async (name, args, run) => {
    if (name === 'index.end') return 1
    return name === 'end' ? true : run(args)
  })
}

/** Whoever ends all sessions of a user ends none. */
function sparing(store: SessionStore): SessionStore {
  return wrapMethods(store, async (name, args, run) => (name === 'index.end' ? 1 : run(args)))
}

/** What should be appended to a record is thrown away, and said to be there. */
function forgetful(store: SessionStore): SessionStore {
  return wrapMethods(store, async (name, args, run) => {
    const { entry } = (args[3] ?? {}) as WriteOptions
    if (name !== 'write' || args[2] === null || !entry) return run(args)
    const there = await store.read(args[0] as string)
    if (!there || there.version === args[2]) return run(args)
    return { ok: true, current: { ...there, entries: [...(there.entries ?? []), entry] } }
  })
}

/** Whoever asks for what is there now gets what a replica has. */
function lagging(store: SessionStore): SessionStore {
  return wrapMethods(store, async (name, args, run) => {
    const [id, options] = args as [string, StoreCallOptions | undefined]
    return run(name === 'read' ? [id, { ...options, fresh: false }] : args)
  })
}

const ALL: readonly Plant[] = [
  ...BOUND_PLANTS,
  { name: 'compare-and-set always succeeds', profile: 'memory', rule: '1', store: overwriting },
  { name: 'end ignored', profile: 'memory', rule: '3', store: undying },
  { name: 'appended entries dropped', profile: 'memory', rule: '1', store: forgetful },
  { name: 'end of a user ignored by KV', profile: 'kv', rule: '3', store: sparing },
  { name: 'fresh ignored by a replica', profile: 'replica', rule: '5', store: lagging },
  { name: 'longer timeouts', profile: 'memory', rule: '6', timeoutFactor: 1.5 },
  { name: "another's Set-Cookie", profile: 'memory', rule: '4', swapsCookies: true },
  {
    name: 'tags forgotten',
    profile: 'outage',
    rule: '2',
    source: [
      {
        file: 'codec/write-list.ts',
        from: 'return writesOf(state).some((write) => write.tag === tag)',
        to: 'return writesOf(state).length < 0 && tag === NO_TAG',
      },
    ],
  },
  {
    name: 'rotationId of the id alone',
    profile: 'memory',
    rule: '4 rotationId',
    source: [
      {
        file: 'session/request-session.ts',
        from: 'nameOf(current.generation)',
        to: "nameOf({ number: 1, nonce: '' })",
      },
    ],
  },
  {
    name: 'proofs stay when somebody else signs in',
    profile: 'memory',
    rule: '4 proof',
    source: [
      {
        file: 'session/operations.ts',
        from: 'const f = isOther ? undefined : base.claims?.f',
        to: 'const f = state.claims?.f',
      },
    ],
  },
  {
    name: 'an answer that nobody can read is taken for nothing',
    profile: 'kv',
    rule: '5',
    source: [
      {
        file: 'stores/kv-value.ts',
        from: "throw new ForeignValueError('What is stored in KV is no record of ours')",
        to: 'return { endedUntil: Infinity }',
      },
    ],
  },
  {
    name: 'tags in no index',
    profile: 'memory',
    rule: '3',
    source: [
      {
        file: 'persistence/stored-record.ts',
        from: '(claims?.t ?? []).map(tagKeysOf)',
        to: '[].map(tagKeysOf)',
      },
    ],
  },
  {
    name: 'one session more than there may be',
    profile: 'memory',
    rule: '9 cap',
    source: [
      {
        file: 'revocation/cap.ts',
        from: 'slice(maxSessions)',
        to: 'slice(maxSessions + 1)',
      },
    ],
  },
  {
    name: 'marks of sessions in cookies not looked for',
    profile: 'cookie',
    rule: '3',
    source: [
      {
        file: 'revocation/revocable.ts',
        from: 'if (!hasEnded) return draft',
        to: 'return draft',
      },
    ],
  },
  {
    name: 'an answer about a mark remembered for ever',
    profile: 'cookie',
    rule: '3',
    source: [
      {
        file: 'revocation/marks.ts',
        from: 'if (there && Math.abs(at - there.at) < 1000 * revocations!.ttl)',
        to: 'if (there && at - there.at < Infinity && revocations)',
      },
    ],
  },
  {
    name: 'generation ignored',
    profile: 'memory',
    rule: '4',
    source: [
      {
        file: 'persistence/newest.ts',
        from: "if (name === nameOf(cookie)) return 'same'",
        to: "if (name.length > 0) return 'same'",
      },
    ],
  },
  {
    name: 'a cookie ahead of the record believed without its predecessors',
    profile: 'outage',
    rule: '4',
    source: [
      {
        file: 'persistence/newest.ts',
        from: "return cookie.replaced.includes(name) ? 'ahead' : 'replaced'",
        to: "return record.number < cookie.number ? 'ahead' : 'replaced'",
      },
    ],
  },
]

/** By name. */
export const PLANTS: Readonly<Record<string, Plant>> = Object.fromEntries(
  ALL.map((plant) => [plant.name, plant]),
)
