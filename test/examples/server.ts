/** Starts an example for real: a process of its own runtime, or workerd. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { freePort } from '../support/free-port.ts'
import { SECRET } from '../support/sessions.ts'

/** A server that runs. */
export interface Server {
  /** Where it listens, such as `http://127.0.0.1:3000`. */
  readonly origin: string
  /** Returns what it has printed. */
  output?(): string
  stop(): Promise<void>
}

const BUILTINS = builtinModules.filter((name) => !name.startsWith('_') && !name.includes(':'))
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire('/');"

export const root: string = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const QUIET = { ASTRO_TELEMETRY_DISABLED: '1', NO_COLOR: '1' }

function launch(command: string, args: string[], folder: string, more: Record<string, string>) {
  const env = { ...process.env, ...QUIET, PATH: `${bin}${delimiter}${process.env.PATH}`, ...more }
  // Their own would tell frameworks that they are under test.
  for (const name of ['NODE_ENV', 'VITEST', 'TEST']) delete (env as NodeJS.ProcessEnv)[name]
  const child: ChildProcess = spawn(command, args, { cwd: join(root, folder), env, detached: true })
  const running = { child, output: '', over: false }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => (running.output += text))
  }
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null))
    child.on('exit', resolve)
  }).then((code) => {
    running.over = true
    return code
  })
  return { running, ended }
}

/** Runs a tool in a folder of the project to its end. Throws what it printed when it fails. */
export async function runTool(folder: string, command: string, ...args: string[]): Promise<void> {
  const { running, ended } = launch(command, args, folder, {})
  const code = await ended
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${running.output}`)
}

/** Starts a program, which finds its port in `PORT`, and waits until it answers. */
export async function startProgram(
  folder: string,
  command: string,
  ...args: string[]
): Promise<Server> {
  const port = String(await freePort())
  const origin = `http://127.0.0.1:${port}`
  const { running, ended } = launch(command, args, folder, {
    SESSION_SECRET: SECRET,
    HOST: '127.0.0.1',
    PORT: port,
    ORIGIN: origin,
  })
  const stop = async (): Promise<void> => {
    if (!running.over) process.kill(-(running.child.pid as number), 'SIGKILL')
    await ended
  }
  for (let tries = 0; tries < 1000 && !running.over; tries++) {
    if (await fetch(origin).catch(() => null)) return { origin, stop, output: () => running.output }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await stop()
  throw new Error(`${command} did not start:\n${running.output}`)
}

/** What tells a tool its port, where `PORT` does not. */
const PORT_FLAGS: [RegExp, string][] = [
  [/ (react-router|vite|astro) dev$/, ' --port "$PORT" --host 127.0.0.1'],
  [/ wrangler dev /, ' --port "$PORT" --inspector-port 0'],
]

/**
 * Starts an example with the very command that its first line says, or for a folder
 * `examples/README.md`.
 */
export function startAsWritten(example: string): Promise<Server> {
  const isFile = example.endsWith('.ts')
  const lines = readFileSync(join(root, isFile ? example : 'examples/README.md'), 'utf8').split(
    '\n',
  )
  const command = isFile
    ? lines[0]?.replace('// ', '')
    : lines.find((line) => line.startsWith(`cd ${example} && `))
  if (!command) throw new Error(`Nothing says how to start ${example}`)
  const flags = PORT_FLAGS.find(([tool]) => tool.test(command))?.[1] ?? ''
  return startProgram('.', 'bash', '-c', command + flags)
}

/** Bundles an example for Workers and runs it in workerd, with these bindings. */
export async function startInWorkerd(
  file: string,
  stores: { readonly compatibilityFlags?: string[]; readonly [binding: string]: unknown },
): Promise<Server> {
  const needsNode = stores.compatibilityFlags?.includes('nodejs_compat')
  const { outputFiles } = await build({
    entryPoints: [join(root, file)],
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*', 'node:*'],
    // For CommonJS packages that ask for Node's modules, which only `nodejs_compat` has.
    alias: Object.fromEntries(BUILTINS.map((name) => [name, `node:${name}`])),
    banner: needsNode ? { js: REQUIRE } : {},
    write: false,
    logLevel: 'silent',
  })
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'worker.mjs', contents: outputFiles[0]?.text ?? '' }],
      compatibilityDate: '2026-10-20',
      bindings: { SESSION_SECRET: SECRET },
      ...stores,
      host: '127.0.0.1',
    }),
  )
  const { origin } = await miniflare.ready
  return { origin, stop: () => miniflare.dispose() }
}
