import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { begin, createSessions } from './support.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sojourn-tarball-'))
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const PATH = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`

interface Ended {
  code: number
  stdout: string
  stderr: string
}

async function run(program: string, args: readonly string[], env: object = {}): Promise<Ended> {
  const options = { cwd: folder, env: { ...process.env, PATH, ...env } }
  const outcome = promisify(execFile)(program, args, options)
  return outcome.then(
    ({ stderr, stdout }) => ({ code: 0, stdout, stderr }),
    ({ code, stderr, stdout }) => ({ code, stdout, stderr }),
  )
}

beforeAll(async () => {
  // The one dependency comes from here too, so that no registry is asked.
  for (const path of [root, join(root, 'node_modules/cookie')]) {
    const packed = await run('npm', ['pack', path, '--ignore-scripts', '--silent'])
    expect([packed.stderr, packed.code]).toEqual(['', 0])
  }
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  const tarballs = (await run('sh', ['-c', 'ls ./*.tgz'])).stdout.trim().split('\n')
  const flags = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts']
  const installed = await run('npm', ['install', ...flags, ...tarballs])
  expect([installed.stderr, installed.code]).toEqual(['', 0])
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the packed package', () => {
  it.each([
    ['npx', 'npx', ['--offline', 'sojourn']],
    ['bunx', bin('bun'), ['x', '--bun', '--no-install', 'sojourn']],
    ['deno run', bin('deno'), ['run', '-A', './node_modules/sojourn/dist/cli/main.js']],
  ])('has a command line for %s', async (_, program, args) => {
    const made = await run(program, [...args, 'secret'])
    expect([made.stderr, made.code]).toEqual(['', 0])
    expect(made.stdout).toMatch(/^[\w-]{43}\n$/)
    const wrong = await run(program, [...args, 'frobnicate'])
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('no such command')])
  })

  it('works on the sessions of a config module, which imports the same package', async () => {
    writeFileSync(
      join(folder, 'sojourn.config.js'),
      `import { createSessions } from 'sojourn'
      export const sessions = createSessions({ secret: process.env.SESSION_SECRET })`,
    )
    const { stdout: secret } = await run('npx', ['--offline', 'sojourn', 'secret'])
    const SESSION_SECRET = secret.trim()
    writeFileSync(
      join(folder, 'cookie.txt'),
      await begin(createSessions({ secret: SESSION_SECRET }), 'user-1'),
    )
    const command = 'npx --offline sojourn explain --config sojourn.config.js < cookie.txt'
    const live = await run('sh', ['-c', command], { SESSION_SECRET })
    expect([live.code, live.stdout]).toEqual([0, expect.stringContaining('live: ')])
  })

  it('says of a Node that is too old which one it needs', async () => {
    const old = "Object.defineProperty(process.versions, 'node', { value: '20.11.0' })"
    const flag = `--import=data:text/javascript,${encodeURIComponent(old)}`
    const args = [flag, join(folder, 'node_modules/sojourn/dist/cli/main.js'), 'secret']
    const { code, stderr, stdout } = await run(process.execPath, args)
    expect([code, stdout, stderr.trim().split('\n').length]).toEqual([1, '', 1])
    expect(stderr).toContain('needs Node 22 or newer, and this is Node 20.11.0')
  })
})
