/** Runs the command line as a person would: in a process of its own, with pipes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { createSessions, type Sessions } from '../../src/session/sessions.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = (name: string): string => `${root}node_modules/.bin/${name}`

/** The ways to run the source of the command line. */
export const RUNTIMES = {
  node: [process.execPath],
  deno: [bin('deno'), 'run', '-A', '--no-prompt'],
  bun: [bin('bun')],
} as const

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
  /** All that was written. */
  all: string
  json: Record<string, unknown>
}

export interface Circumstances {
  env?: Record<string, string>
  /** Standard input; nothing by default. */
  input?: string
  cwd?: string
  runtime?: keyof typeof RUNTIMES
}

/** Texts that no output may contain: secrets, cookies, session data, passwords. */
const canaries = new Set<string>()

/** Adds texts that no output may contain from now on. */
export function forbid(...texts: readonly string[]): void {
  for (const text of texts) if (text) canaries.add(text)
}

/** Runs `sojourn` with these arguments. Fails when its output contains what was forbidden, or a stack. */
export async function sojourn(
  args: readonly string[],
  { env = {}, input = '', cwd = root, runtime = 'node' }: Circumstances = {},
): Promise<Outcome> {
  const [program, ...before] = RUNTIMES[runtime]
  const child = spawn(program, [...before, `${root}src/cli/main.ts`, ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    timeout: 60_000,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  const all = stdout + stderr
  for (const text of canaries) expect(all.includes(text), 'the output holds a secret').toBe(false)
  expect(all).not.toMatch(/^ {4}at .*:\d+:\d+\)?$/m)
  const isJson = args.includes('--json')
  return { code, stdout, stderr, all, json: isJson ? JSON.parse(stdout) : {} }
}

/** Begins a session, signed in if a user is named, and returns its `Cookie` header. */
export async function begin(
  sessions: Sessions,
  subject?: string,
  data: Record<string, unknown> = {},
  label?: string,
): Promise<string> {
  const session = await sessions.open(null)
  for (const [key, value] of Object.entries(data)) session.set(key, value)
  if (subject !== undefined) session.login(subject, label === undefined ? {} : { label })
  return headerOf(await sessions.save(session))
}

/** Turns `Set-Cookie` values into a `Cookie` header. */
export function headerOf(values: readonly string[]): string {
  const pairs = values.map((value) => value.split(';', 1)[0]!)
  // Every part of it is secret.
  for (const pair of pairs) forbid(pair.slice(pair.indexOf('=') + 1))
  return pairs.join('; ')
}

export { createSessions }
