/** Runs the project's own tools on the project's own Node, whatever Node started the script. */
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** The environment of every tool: the Node of devDependencies comes first. */
export const env = {
  ...process.env,
  PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
  NEXT_TELEMETRY_DISABLED: '1',
  WRANGLER_SEND_METRICS: 'false',
  NO_COLOR: '1',
  FORCE_COLOR: '0',
}

const running = new Set()

/** Runs a tool to its end; resolves with its exit code, its standard output, and all it printed. */
export function run(command, args, extraEnv = {}, cwd = root) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...env, ...extraEnv },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    running.add(child)
    let output = ''
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    child.on('error', (error) => {
      running.delete(child)
      resolve({ code: 1, stdout, output: `${output}${error.message}\n` })
    })
    // What outlives the tool would hold its output open, and `close` back.
    child.on('exit', () => killGroup(child))
    child.on('close', (code) => {
      running.delete(child)
      resolve({ code: code ?? 1, stdout, output })
    })
  })
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** Ends what is still running, with everything it started. */
export function killAll() {
  for (const child of running) killGroup(child)
}

process.once('exit', killAll)

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    killAll()
    process.exit(1)
  })
}
