import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { generateSecret } from '../../src/index.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { root, startProgram } from '../examples/server.ts'
import { blocksOf, read } from '../support/documents.ts'
import { filesOf, writeApp } from './page-app.ts'

/** Scripts that pages show, with what they print in comments at the ends of their lines. */
const scripts = [
  ['understand/failures.md', 'outage.ts'],
  ['understand/the-sealed-cookie.md', 'take-apart.ts'],
  ['understand/overlapping-requests.md', 'both-add.ts'],
  ['guides/sign-in-passwords.md', 'try-it.ts'],
  ['guides/testing.md', 'sign-in.ts'],
  ['guides/testing.md', 'timeouts.ts'],
  ['guides/testing.md', 'outage.ts'],
  ['guides/testing.md', 'signed-in.ts'],
  ['guides/caching.md', 'headers.ts'],
  ['guides/native-clients.md', 'api.ts'],
  ['guides/subdomains.md', 'shared.ts'],
  ['guides/subdomains.md', 'handover.ts'],
  ['guides/long-lived-connections.md', 'events.ts'],
  ['sessions.md', 'values.ts'],
  ['sessions.md', 'schema.ts'],
] as const

it.each(scripts)('%s: %s prints what it says', (page, script) => {
  const code = filesOf(page).get(script) ?? ''
  const expected = [...code.matchAll(/^(?:await|console)\b.*\) \/\/ (.*)$/gm)].map(
    ([, line]) => line,
  )
  expect(expected.length).toBeGreaterThan(1)
  const file = join(root, writeApp(page), script)
  const node = join(root, 'node_modules/.bin/node')
  expect(execFileSync(node, [file], { encoding: 'utf8' }).trim().split('\n')).toEqual(expected)
})

it('docs/choosing-a-store.md: the Worker with Durable Objects runs', async () => {
  const folder = writeApp('choosing-a-store.md', {
    '.dev.vars': `SESSION_SECRET=${generateSecret()}`,
  })
  const command = 'wrangler dev --port "$PORT" --inspector-port 0'
  const server = await startProgram(folder, 'bash', '-c', command)
  const jar = createCookieJar({ origin: server.origin })
  const visit = async (path: string) => (await jar.fetch(fetch, path)).text()
  try {
    expect([await visit('/'), await visit('/')]).toEqual(['visit 1', 'visit 2'])
  } finally {
    await server.stop()
  }
})

it('README.md: the Worker works when it is pasted', async () => {
  const [worker] = blocksOf('README.md').filter(({ language }) => language === 'ts')
  const command = /npx (wrangler dev .*)/.exec(read('README.md'))?.[1]
  // Not inside of the project, whose wrangler.toml would be taken.
  const folder = mkdtempSync(join(tmpdir(), 'sojourn-worker-'))
  for (const name of ['src', 'node_modules']) mkdirSync(join(folder, name))
  symlinkSync(root, join(folder, 'node_modules/sojourn'))
  writeFileSync(join(folder, 'src/index.ts'), worker?.code ?? '')
  writeFileSync(join(folder, '.dev.vars'), `SESSION_SECRET=${generateSecret()}`)
  const flags = '--port "$PORT" --inspector-port 0'
  const server = await startProgram(relative(root, folder), 'bash', '-c', `${command} ${flags}`)
  const jar = createCookieJar({ origin: server.origin })
  const visit = async (path: string) => (await jar.fetch(fetch, path)).text()
  try {
    expect([await visit('/'), await visit('/')]).toEqual(['visit 1', 'visit 2'])
    expect([await visit('/sign-out'), await visit('/')]).toEqual(['bye', 'visit 1'])
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true })
  }
})
