import { applyWrite } from '../../src/stores/apply-write.ts'
import type { StoredEntry, StoredRecord, WriteResult } from '../../src/stores/store.ts'
import type { StoreFactory } from '../../src/testing/index.ts'
import { createRandomBelow } from './schedule.ts'

/** The contract in its shortest form: `applyWrite`, a map of records and a map of marks. */
export function createReferenceStore(now: () => number) {
  const records = new Map<string, StoredRecord>()
  const marks = new Map<string, number>()
  const live = (id: string): StoredRecord | null => {
    const record = records.get(id)
    return record && now() < record.expiresAt ? record : null
  }
  const end = (id: string, markFor = 600): boolean => {
    const record = live(id)
    records.delete(id)
    const until = now() + Math.max(markFor, record?.markFor ?? 0) * 1000
    marks.set(id, Math.max(until, marks.get(id) ?? 0))
    return record !== null
  }
  const list = (key: string): StoredEntry[] =>
    [...records.keys()].flatMap((id) => {
      const record = live(id)
      return record?.keys?.includes(key) ? [{ id, record }] : []
    })
  return {
    read: live,
    write(id: string, record: StoredRecord, expected: string | null, entry?: string): WriteResult {
      const current = live(id)
      if (!current && now() < (marks.get(id) ?? 0)) return { ok: false, current: null }
      const { result, next } = applyWrite(current, record, expected, entry)
      if (next) records.set(id, next)
      return result
    },
    end,
    list,
    endAll(key: string, except?: string, markFor?: number): number {
      const ids = list(key).flatMap(({ id }) => (id === except ? [] : [id]))
      for (const id of ids) end(id, markFor)
      return ids.length
    },
  }
}

const SIZES = [80, 80, 80, 9_000, 33_000]

/** Compares a store with the reference over `steps` random calls; throws at the first difference. */
export async function compareWithReference(
  factory: StoreFactory,
  seed: number,
  steps: number,
): Promise<void> {
  const made = await factory()
  const { store, now = Date.now, advance, close } = 'store' in made ? made : { store: made }
  const below = createRandomBelow(seed)
  const pick = <T>(...values: readonly T[]): T => values[below(values.length)]!
  const reference = createReferenceStore(now)
  const own = `${seed}-${Math.random().toString(36).slice(2)}`
  const ids = [`${own}-a`, `${own}-b`]
  const keys = [`${own}-k`, `${own}-l`, `${own}-m`]
  const versions: Record<string, string[]> = {}
  const done: [string, StoredRecord, string | null, string | undefined][] = []
  let count = 0

  const newRecord = (): StoredRecord => ({
    value: `value-${++count}`,
    version: `version-${count}`,
    epoch: pick('1.a', '1.a', '1.a', '2.b'),
    expiresAt: Math.floor(now()) + pick(60_000, 3_600_000),
    ...(below(2) && { keys: keys.filter(() => below(2)) }),
    ...(below(5) === 0 && { markFor: 900 }),
  })

  async function write(id: string): Promise<[unknown, unknown]> {
    const current = reference.read(id)?.version ?? null
    const earlier = versions[id] ?? []
    const expected = pick(current, current, null, 'unknown', pick('gone', ...earlier))
    const entry = below(2) ? `${count}-`.padEnd(pick(...SIZES), 'e') : undefined
    const call: (typeof done)[number] =
      done.length && below(5) === 0 ? pick(...done) : [id, newRecord(), expected, entry]
    done.push(call)
    const [where, record, version, more] = call
    const result = await store.write(where, record, version, { entry: more })
    const shouldBe = reference.write(where, record, version, more)
    const now = reference.read(where)?.version
    if (now) versions[where] = [...(versions[where] ?? []), now]
    return [resultOf(result), resultOf(shouldBe)]
  }

  async function step(): Promise<[unknown, unknown]> {
    const [id, key] = [pick(...ids), pick(...keys)]
    const markFor = pick(undefined, 0, 0, 60)
    const except = pick(undefined, ids[0])
    if (advance && below(12) === 0) await advance(pick(1, 30_000, 600_000))
    switch (pick('write', 'write', 'write', 'write', 'write', 'read', 'end', 'list', 'endAll')) {
      case 'read':
        return [shown(await store.read(id, { fresh: !!below(2) })), shown(reference.read(id))]
      case 'end':
        if (below(3)) return [0, 0]
        return [await store.end(id, { markFor }), reference.end(id, markFor)]
      case 'list':
        return [entriesOf((await store.index?.list(key)) ?? []), entriesOf(reference.list(key))]
      case 'endAll':
        if (below(3)) return [0, 0]
        return [
          await store.index?.end(key, { except, markFor }),
          reference.endAll(key, except, markFor),
        ]
      default:
        return await write(id)
    }
  }

  try {
    for (let i = 0; i < steps; i++) {
      const [is, shouldBe] = (await step()).map((value) => JSON.stringify(value))
      if (is !== shouldBe) {
        throw new Error(`Seed ${seed}, step ${i}: got ${cut(is)}, expected ${cut(shouldBe)}`)
      }
    }
  } finally {
    await close?.()
  }
}

const cut = (text: string | undefined): string => String(text).slice(0, 600)

function shown(record: StoredRecord | null | undefined): unknown {
  if (!record) return null
  const { value, version, epoch, expiresAt, keys = [], markFor, entries = [] } = record
  return [value, version, epoch, expiresAt, [...keys].sort(), markFor, entries]
}

function resultOf({ ok, current }: WriteResult): unknown {
  return [ok, ok && !current ? 'none' : shown(current)]
}

function entriesOf(entries: readonly StoredEntry[]): unknown {
  return [...entries]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, record }) => [id, shown(record)])
}
