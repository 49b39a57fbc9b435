/** The tests of reading and writing. */
import { MAX_ENTRIES, MAX_ENTRIES_LENGTH } from '../stores/limits.ts'
import type { WriteResult } from '../stores/store.ts'
import {
  type Bench,
  currentOf,
  essence,
  MINUTE,
  randomText,
  type Test,
  type TestApi,
} from './contract-bench.ts'

export const reading: Record<string, Test> = {
  'read() of an id it never saw is null': async (bench, expect) => {
    expect(await bench.read()).toBe(null)
  },

  'read() returns what was written, epoch and index keys included': async (bench, expect) => {
    const record = await bench.create({ epoch: '7.nonce', keys: [randomText(16), randomText(16)] })
    expect(essence(await bench.read())).toEqual(essence(record))
  },

  'a value of 60 KB is saved byte for byte': async (bench, expect) => {
    const { value } = await bench.create({ value: randomText(60 * 1024) })
    const read = await bench.read()
    expect(read?.value === value).toBe(true)
  },

  'the expiry is exact, to the millisecond': async (bench, expect) => {
    const expiresAt = bench.record().expiresAt + 1
    await bench.create({ expiresAt })
    expect((await bench.read())?.expiresAt).toBe(expiresAt)
  },

  'records are copies: changing one changes nothing in the store': async (bench, expect) => {
    const keys = [randomText(16)]
    const given = await bench.create({ keys })
    const written = essence({ ...given, keys: [...keys] })
    given.value = 'changed after the write'
    keys.push('changed after the write')
    const read = await bench.read()
    if (read) read.value = 'changed after the read'
    expect(essence(await bench.read())).toEqual(written)
  },

  'ids are kept apart, those that differ only in case included': async (bench, expect) => {
    const [first, second] = [`${bench.id}a`, `${bench.id}A`]
    const record = await bench.create({}, first)
    const other = await bench.create({}, second)
    expect((await bench.read(first))?.value).toBe(record.value)
    expect((await bench.read(second))?.value).toBe(other.value)
  },

  'read() with fresh returns the same': async (bench, expect) => {
    const record = await bench.create()
    expect(essence(await bench.store.read(bench.id, { fresh: true }))).toEqual(essence(record))
  },
}

export const writing: Record<string, Test> = {
  'write() replaces the version it expects': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record({ epoch: '2.b' })
    expect(await bench.write(second, first.version)).toEqual({ ok: true })
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'write() that expects another version is refused, with what is there': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    await bench.write(second, first.version)
    const result = await bench.write(bench.record(), first.version)
    expect(result.ok).toBe(false)
    expect(essence(currentOf(result))).toEqual(essence(second))
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'write() that expects a version never creates': async (bench, expect) => {
    const result = await bench.writeOverNothing(bench.record(), '1-gone')
    expect(result).toEqual({ ok: false, current: null })
    expect(await bench.read()).toBe(null)
  },

  'creating is refused where a record is, if the store is atomic': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    const result = await bench.write(second, null)
    if (bench.store.atomic) expect(result.ok).toBe(false)
    if (!result.ok) expect(essence(result.current)).toEqual(essence(first))
    const winner = result.ok ? second : first
    expect(essence(await bench.read())).toEqual(essence(winner))
  },

  'a repeated write is ok and changes nothing': async (bench, expect) => {
    const first = await bench.create()
    expect((await bench.write(first, null)).ok).toBe(true)
    const second = bench.record()
    await bench.write(second, first.version)
    expect((await bench.write(second, first.version)).ok).toBe(true)
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'exactly one of ten overlapping writes wins, if the store is atomic': async (bench, expect) => {
    await race(bench, expect, (await bench.create()).version)
  },

  'exactly one of ten overlapping creations wins, if the store is atomic': (bench, expect) =>
    race(bench, expect, null),
}

async function race(bench: Bench, expect: TestApi['expect'], expected: string | null) {
  const rivals = Array.from({ length: 10 }, () => bench.record())
  // Where nothing keeps them apart, one may read what another has half written, and fail.
  const failed = (error: unknown): WriteResult => {
    if (bench.store.atomic) throw error
    return { ok: false, current: null }
  }
  const writes = rivals.map((rival) => bench.write(rival, expected).catch(failed))
  const results = await Promise.all(writes)
  const winners = rivals.filter((_, i) => results[i]?.ok)
  if (bench.store.atomic) expect(winners.length).toBe(1)
  const read = await bench.read()
  expect(winners.some(({ version }) => version === read?.version)).toBe(true)
}

export const appending: Record<string, Test> = {
  'an entry is appended to a record of another version, the same epoch': async (bench, expect) => {
    const [one, two] = [randomText(80), randomText(80)]
    const record = await bench.create({ keys: [randomText(16)] })
    const appended = await bench.append(one, { expiresAt: record.expiresAt + MINUTE })
    expect(appended.ok).toBe(true)
    const first = { ...record, version: `${record.version}+1.${one.slice(-8)}`, entries: [one] }
    expect(essence(currentOf(appended))).toEqual(essence(first))
    expect(essence(await bench.read())).toEqual(essence(first))
    const second = {
      ...record,
      version: `${record.version}+2.${two.slice(-8)}`,
      entries: [one, two],
    }
    expect(essence(currentOf(await bench.append(two)))).toEqual(essence(second))
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'a write that expects as many other entries is refused': async (bench, expect) => {
    const { version } = await bench.create()
    const entry = randomText(80)
    await bench.append(entry)
    const expected = `${version}+1.${randomText(8)}`
    expect((await bench.write(bench.record(), expected)).ok).toBe(false)
    expect((await bench.read())?.entries).toEqual([entry])
  },

  'an entry is not appended where the record can be replaced': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    const entry = randomText(80)
    expect(await bench.write(second, first.version, { entry })).toEqual({ ok: true })
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'an entry is refused by a record of another epoch': async (bench, expect) => {
    const record = await bench.create({ epoch: '2.b' })
    const result = await bench.append(randomText(80), { epoch: '1.a' })
    expect(result.ok).toBe(false)
    expect(essence(currentOf(result))).toEqual(essence(record))
    expect(essence(await bench.read())).toEqual(essence(record))
  },

  'a repeated entry is ok and appended once': async (bench, expect) => {
    const { version } = await bench.create()
    const [one, two] = [randomText(80), randomText(80)]
    await bench.append(one)
    await bench.append(two)
    const again = await bench.append(one)
    expect(again.ok).toBe(true)
    expect(currentOf(again)?.version).toBe(`${version}+2.${two.slice(-8)}`)
    expect((await bench.read())?.entries).toEqual([one, two])
  },

  'a repeated write with entries appended since is ok, and returns them': async (bench, expect) => {
    const record = await bench.create()
    const entry = randomText(80)
    await bench.append(entry)
    const again = await bench.write(record, null)
    expect(again.ok).toBe(true)
    expect(currentOf(again)?.entries).toEqual([entry])
    expect((await bench.read())?.entries).toEqual([entry])
  },

  'a write replaces a record with entries only if it knows all of them': async (bench, expect) => {
    const { version } = await bench.create()
    const entry = randomText(80)
    await bench.append(entry)
    const known = `${version}+1.${entry.slice(-8)}`
    const early = await bench.write(bench.record(), version)
    expect(early.ok).toBe(false)
    expect(currentOf(early)?.version).toBe(known)
    const merged = bench.record()
    expect(await bench.write(merged, known)).toEqual({ ok: true })
    expect(essence(await bench.read())).toEqual(essence(merged))
  },

  'there is room for 64 entries': async (bench, expect) => {
    await bench.create()
    for (let i = 0; i < MAX_ENTRIES; i++) await bench.append(randomText(80))
    expect((await bench.append(randomText(80))).ok).toBe(false)
    expect((await bench.read())?.entries?.length).toBe(MAX_ENTRIES)
  },

  'there is room for 64 KB of entries': async (bench, expect) => {
    await bench.create()
    const half = MAX_ENTRIES_LENGTH / 2
    expect((await bench.append(randomText(half))).ok).toBe(true)
    expect((await bench.append(randomText(half + 1))).ok).toBe(false)
    expect((await bench.append(randomText(half))).ok).toBe(true)
    expect((await bench.append('x')).ok).toBe(false)
  },

  'ten overlapping appended entries are all there': async (bench, expect) => {
    await bench.create()
    const entries = Array.from({ length: 10 }, () => randomText(80))
    const results = await Promise.all(entries.map((entry) => bench.append(entry)))
    expect(results.every(({ ok }) => ok)).toBe(true)
    const appended = new Set((await bench.read())?.entries)
    expect(entries.filter((entry) => !appended.has(entry))).toEqual([])
  },
}
