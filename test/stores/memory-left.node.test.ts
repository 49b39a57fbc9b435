import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const MOST = 32_000_000

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'sojourn-memory-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a thousand sessions of 200 KB that went through a process', () => {
  const places: [string, string[]][] = [
    ['in the memory store', []],
    ['in SQLite behind a cache', [join(folder, 'sessions.db')]],
  ]
  it.each(places)('leave at most 32 MB behind in every layer together, %s', async (_, args) => {
    const script = fileURLToPath(new URL('../fixtures/memory-left.ts', import.meta.url))
    const { stdout } = await run(process.execPath, [
      '--expose-gc',
      '--no-warnings',
      script,
      ...args,
    ])
    const left = Number(stdout)
    // Some stay, or nothing was pushed.
    expect(left).toBeGreaterThan(1_000_000)
    expect(left).toBeLessThan(MOST)
  })
})
