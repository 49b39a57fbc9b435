/** The tests of a store's index and of its pages. */
import type { StoredEntry, StoredPage } from '../stores/store.ts'
import { essence, MINUTE, randomText, type Test } from './contract-bench.ts'

const idsIn = (entries: readonly StoredEntry[]): string[] => entries.map(({ id }) => id).sort()

export const listing: Record<string, Test> = {
  'index.list() returns live records of a key, under any of their keys': async (bench, expect) => {
    const { index } = bench
    const [user, tag] = [randomText(16), randomText(16)]
    const ids = [randomText(22), randomText(22), randomText(22)].sort()
    for (const id of ids) await bench.create({ keys: [user] }, id)
    await bench.create({ keys: [randomText(16), tag] })
    await bench.create({}, randomText(22))
    const ended = randomText(22)
    await bench.create({ keys: [user, tag] }, ended)
    await bench.store.end(ended)
    expect(idsIn(await index.list(user))).toEqual(ids)
    expect(idsIn(await index.list(tag))).toEqual([bench.id])
  },

  'index.list() returns the record as it is now, entries included': async (bench, expect) => {
    const { index } = bench
    const keys = [randomText(16)]
    const { version } = await bench.create({ keys })
    const second = bench.record({ keys })
    await bench.write(second, version)
    const entry = randomText(80)
    const isAppended = (await bench.append(entry)).ok
    expect(isAppended).toBe(bench.store.atomic)
    const appended = {
      ...second,
      version: `${second.version}+1.${entry.slice(-8)}`,
      entries: [entry],
    }
    const whole = isAppended ? appended : second
    const listed = await index.list(keys[0]!)
    expect(listed.map(({ record }) => essence(record))).toEqual([essence(whole)])
  },

  'index.list() follows the keys of a record as they change': async (bench, expect) => {
    const { index } = bench
    const [user, one, two] = [randomText(16), randomText(16), randomText(16)]
    const first = await bench.create({ keys: [user, one] })
    const second = bench.record({ keys: [user, two] })
    await bench.write(second, first.version)
    expect(await index.list(one)).toEqual([])
    for (const key of [user, two]) expect(idsIn(await index.list(key))).toEqual([bench.id])
    await bench.write(bench.record(), second.version)
    for (const key of [user, two]) expect(await index.list(key)).toEqual([])
  },

  'index.list() returns nothing for an unknown key, and nothing expired': async (bench, expect) => {
    const { index } = bench
    const key = randomText(16)
    expect(await index.list(key)).toEqual([])
    if (!bench.advance) return
    await bench.create({ keys: [key] })
    await bench.advance(60 * MINUTE)
    expect(await index.list(key)).toEqual([])
    expect(await index.end(key)).toBe(0)
  },
}

export const paging: Record<string, Test> = {
  'page() has every live record on one of its pages': async (bench, expect) => {
    const { store } = bench
    if (!store.page) return
    const ids = Array.from({ length: 30 }, () => randomText(22))
    for (const id of ids) await bench.create({}, id)
    await bench.create()
    await store.end(bench.id)
    const seen = new Set<string>()
    let cursor: string | null = null
    do {
      const page: StoredPage = await store.page(cursor)
      for (const { id } of page.records) seen.add(id)
      cursor = page.cursor
    } while (cursor !== null)
    expect(ids.filter((id) => !seen.has(id))).toEqual([])
    expect(seen.has(bench.id)).toBe(false)
  },
}

export const endingAll: Record<string, Test> = {
  'index.end() ends all records of one key, and spares one if told to': async (bench, expect) => {
    const { id, index } = bench
    const key = randomText(16)
    const ids = [id, randomText(22), randomText(22)]
    for (const one of ids) await bench.create({ keys: [key, randomText(16)] }, one)
    const foreign = randomText(22)
    await bench.create({ keys: [randomText(16)] }, foreign)
    await bench.append(randomText(80))
    expect(await index.end(key, { except: id })).toBe(2)
    const records = await Promise.all([...ids, foreign].map((one) => bench.read(one)))
    expect(records.map((record) => !!record)).toEqual([true, false, false, true])
    expect(idsIn(await index.list(key))).toEqual([id])
    expect(await index.end(key)).toBe(1)
    expect(await bench.read()).toBe(null)
    expect(await index.list(key)).toEqual([])
    expect(await index.end(key)).toBe(0)
  },

  'index.end() ends all for an `except` that no record has, of any text': async (bench, expect) => {
    const { index } = bench
    const key = randomText(16)
    for (const except of ['', 'é', 'a\0b', "' ", 'x'.repeat(1000)]) {
      await bench.create({ keys: [key] }, randomText(22))
      expect(await index.end(key, { except })).toBe(1)
    }
  },

  'index.end() takes its records out of their other keys': async (bench, expect) => {
    const { index } = bench
    const [user, tag] = [randomText(16), randomText(16)]
    await bench.create({ keys: [user, tag] })
    expect(await index.end(tag)).toBe(1)
    expect(await index.list(user)).toEqual([])
    expect(await index.end(user)).toBe(0)
  },

  'a write after index.end() is refused; if atomic, so is a creation': async (bench, expect) => {
    const { id, index, store } = bench
    const keys = [randomText(16)]
    const record = await bench.create({ keys })
    await index.end(keys[0]!)
    const late = await bench.writeOverNothing(bench.record({ keys }), record.version)
    expect(late).toEqual({ ok: false, current: null })
    if (!store.atomic) return
    expect(await store.write(id, record, null)).toEqual({ ok: false, current: null })
    expect(await index.list(keys[0]!)).toEqual([])
  },

  'a record can have nine keys, and is found and ended by each of them': async (bench, expect) => {
    const { index } = bench
    const keys = Array.from({ length: 9 }, () => randomText(22))
    await bench.create({ keys })
    for (const key of keys) expect(idsIn(await index.list(key))).toEqual([bench.id])
    expect(await index.end(keys[8]!)).toBe(1)
    for (const key of keys) expect(await index.list(key)).toEqual([])
    expect(await bench.read()).toBe(null)
  },

  'index.list() finds each of twenty overlapping creations, if atomic': async (bench, expect) => {
    const { index, store } = bench
    if (!store.atomic) return
    const keys = [randomText(22)]
    const ids = Array.from({ length: 20 }, () => randomText(22))
    const found = await Promise.all(
      ids.map(async (id) => {
        await bench.create({ keys }, id)
        return idsIn(await index.list(keys[0]!)).includes(id)
      }),
    )
    expect(found.filter((isFound) => isFound).length).toBe(20)
  },

  'index.end() ends what eight others write, if the store is atomic': async (bench, expect) => {
    const { id, index, store } = bench
    if (!store.atomic) return
    const keys = [randomText(22), randomText(22)]
    await bench.create({ keys })
    const write = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) {
        const there = await store.read(id)
        if (!there) return
        const entry = i % 2 ? { entry: randomText(80) } : {}
        await store.write(id, bench.record({ keys }), there.version, entry)
      }
    }
    const writers = Array.from({ length: 8 }, write)
    const ended = await index.end(keys[1]!)
    await Promise.all(writers)
    expect(ended).toBe(1)
    expect(await bench.read()).toBe(null)
    for (const key of keys) expect(await index.list(key)).toEqual([])
  },
}
