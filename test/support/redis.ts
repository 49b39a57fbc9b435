/** A real redis-server on a free loopback port, for tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
// The first call of a store would load them within its time limit, and vitest takes its time to compile them.
import '../../src/stores/redis-index.ts'
import '../../src/stores/redis-scripts.ts'
import { freePort } from './free-port.ts'

export interface RedisServer {
  readonly port: number
  /** Starts it again on the same port after `stop`; what was in it is gone. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Lets it stall (`SIGSTOP`), and go on (`SIGCONT`). */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [data] = (await once(socket, 'data')) as [Buffer]
    return data.toString().startsWith('+PONG')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** A redis-server with these arguments beside the usual ones; resolves when it answers. */
async function spawnRedis(
  port: number,
  ...more: string[]
): Promise<Pick<RedisServer, 'stop' | 'signal'>> {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const child: ChildProcess = spawn('redis-server', [...args, ...more], { stdio: 'ignore' })
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  for (let tries = 0; tries < 2000; tries++) {
    if (await answers(port)) return { stop, signal: (name) => void child.kill(name) }
    await sleep(25)
  }
  await stop()
  throw new Error('redis-server does not answer')
}

/** Sends one command without spaces in its words; resolves with the first piece of the answer. */
async function tell(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write(`${command}\r\n`)
    const [data] = (await once(socket, 'data')) as [Buffer]
    return data.toString()
  } finally {
    socket.destroy()
  }
}

/** A redis-server with these arguments beside the usual ones. */
export async function startRedis(...more: string[]): Promise<RedisServer> {
  const port = await freePort()
  let server = await spawnRedis(port, ...more)
  return {
    port,
    async start() {
      server = await spawnRedis(port, ...more)
    },
    stop: () => server.stop(),
    signal: (name) => server.signal(name),
  }
}

export interface RedisCluster {
  readonly ports: readonly number[]
  stop(): Promise<void>
}

/** A cluster of so many primaries, each with its share of the slots. */
export async function startCluster(size: number): Promise<RedisCluster> {
  const dir = mkdtempSync(join(tmpdir(), 'redis-cluster-'))
  const nodes: { port: number; bus: number; stop: () => Promise<void> }[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
    rmSync(dir, { recursive: true, force: true })
  }
  for (let i = 0; i < size; i++) {
    const [port, bus] = [await freePort(), await freePort()]
    const more = ['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--dir', dir]
    const file = ['--cluster-config-file', `nodes-${i}.conf`]
    nodes.push({ port, bus, ...(await spawnRedis(port, ...more, ...file)) })
  }
  const share = 16_384 / size
  for (const [i, { port }] of nodes.entries()) {
    const [from, to] = [Math.ceil(i * share), Math.ceil((i + 1) * share) - 1]
    await tell(port, `CLUSTER ADDSLOTSRANGE ${from} ${to}`)
    await tell(port, `CLUSTER SET-CONFIG-EPOCH ${i + 1}`)
    const [first] = nodes
    if (i) await tell(port, `CLUSTER MEET 127.0.0.1 ${first!.port} ${first!.bus}`)
  }
  for (let tries = 0; tries < 1200; tries++) {
    const states = await Promise.all(nodes.map(({ port }) => tell(port, 'CLUSTER INFO')))
    const isReady = (state: string): boolean =>
      state.includes('cluster_state:ok') && state.includes(`cluster_known_nodes:${size}`)
    if (states.every(isReady)) return { ports: nodes.map(({ port }) => port), stop }
    await sleep(50)
  }
  await stop()
  throw new Error('The cluster does not come together')
}

/** A Sentinel that watches one primary under a name. */
export async function startSentinel(
  name: string,
): Promise<{ port: number; stop: RedisServer['stop'] }> {
  const dir = mkdtempSync(join(tmpdir(), 'redis-sentinel-'))
  const primary = await startRedis()
  const file = join(dir, 'sentinel.conf')
  writeFileSync(file, `sentinel monitor ${name} 127.0.0.1 ${primary.port} 1\n`)
  const port = await freePort()
  const args = [file, '--sentinel', '--port', String(port), '--bind', '127.0.0.1', '--dir', dir]
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  for (let tries = 0; tries < 2000 && !(await answers(port)); tries++) await sleep(25)
  return {
    port,
    async stop() {
      child.kill('SIGKILL')
      await primary.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
