import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, testStore } from '../../src/testing/index.ts'

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))

const blocks = readFileSync(path('docs/choosing-a-store.md'), 'utf8').matchAll(
  /```ts\n([\s\S]*?)```/g,
)
const [, code = ''] = [...blocks].find(([block]) => block.includes('export function')) ?? []
const file = path('.test-results/documented-store.ts')
mkdirSync(path('.test-results'), { recursive: true })
writeFileSync(file, code)
const { createMapStore }: { createMapStore(now: () => number): SessionStore } = await import(file)

testStore(
  'The store that the documents show',
  () => {
    const clock = createClock()
    const advance = (ms: number): void => void clock.advanceMs(ms)
    return { store: createMapStore(clock), now: clock, advance }
  },
  { describe, it, expect },
)
