import { randomBytes } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCookieJar } from '../../src/testing/index.ts'
import { root, runTool, type Server, startProgram } from '../examples/server.ts'
import { postgresUrl, startPostgres } from '../support/sql-servers.ts'
import { writeApp } from './page-app.ts'

/** Compiler options of a page that is TypeScript alone. */
const tsconfig = (more: object = {}, ...generated: string[]): string =>
  JSON.stringify({
    extends: '../../../../tsconfig.json',
    include: ['.', ...generated],
    exclude: ['dist', 'build'],
    compilerOptions: { rootDir: '../../../..', ...more },
  })

interface Page {
  /** Files that the page leaves to the project's template. */
  readonly files?: Record<string, string>
  /** Starts what it talks to; returns what ends that. */
  readonly before?: (folder: string) => Promise<() => Promise<void>>
  /** The account counts by a button. */
  readonly counts?: string
  /** It signs out everywhere, too. */
  readonly everywhere?: true
  /** Tools that run before it starts, and those that check it. */
  readonly build?: readonly (readonly [tool: string, ...args: string[]])[]
  readonly check?: readonly (readonly [tool: string, ...args: string[]])[]
  /** The command that the page shows, with what tells it its port. */
  readonly start: readonly [command: string, ...args: string[]]
}

const secret = randomBytes(32).toString('base64')
process.env.SESSION_SECRET = secret
process.env.NEXT_TELEMETRY_DISABLED = '1'

/** PostgreSQL, with the table that the command of the page creates. */
async function startDatabase(): Promise<() => Promise<void>> {
  const server = await startPostgres()
  const url = postgresUrl(server.port)
  Object.assign(process.env, { DATABASE_URL: url, SESSION_STORE: url })
  await runTool('.', 'node', 'dist/cli/main.js', 'migrate', '--apply')
  delete process.env.SESSION_STORE
  return () => server.stop()
}

/** Installs the package as npm does: Deno looks for types of the project itself elsewhere. */
async function installForDeno(folder: string): Promise<() => Promise<void>> {
  const modules = join(root, folder, 'node_modules')
  for (const name of ['dist', 'package.json']) {
    cpSync(join(root, name), join(modules, 'sojourn', name), { recursive: true })
  }
  for (const name of ['cookie', '@types/node', 'undici-types']) {
    cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true })
  }
  const dependencies = { sojourn: '*', '@types/node': '*' }
  writeFileSync(
    join(root, folder, 'package.json'),
    JSON.stringify({ type: 'module', dependencies }),
  )
  return async () => {}
}

/** A file that projects of a framework begin with. */
const example = (path: string): string => readFileSync(join(root, 'examples', path), 'utf8')

const LAYOUT = `export default function Layout({ children }: { children: React.ReactNode }) {
  return <html lang="en"><body>{children}</body></html>
}
`

const pages: Record<string, Page> = {
  'hono-workers': {
    everywhere: true,
    files: {
      'tsconfig.json': tsconfig(),
      '.dev.vars': `SESSION_SECRET=${secret}`,
      // What `wrangler types` writes, as far as it is used: all of it would clash with the DOM's.
      'worker-configuration.d.ts': `declare module 'cloudflare:workers' {
        export const env: { SESSION_SECRET: string; SESSIONS: import('sojourn/kv').KVBinding }
      }`,
    },
    check: [
      ['tsc', '-p', '.'],
      ['vitest', 'run', '--root', '.'],
    ],
    start: ['bash', '-c', 'wrangler dev --port "$PORT" --inspector-port 0'],
  },
  express: {
    everywhere: true,
    before: startDatabase,
    files: { 'tsconfig.json': tsconfig() },
    check: [
      ['tsc', '-p', '.'],
      ['node', '--test'],
    ],
    start: ['node', 'src/server.ts'],
  },
  deno: {
    before: installForDeno,
    check: [
      ['deno', 'check', 'main.ts', 'sessions.ts', 'main_test.ts'],
      [
        'deno',
        'eval',
        '--env-file=.env',
        "await (await import('./sessions.ts')).sessions.list('ada')",
      ],
      ['deno', 'test'],
    ],
    files: { '.env': `SESSION_SECRET=${secret}` },
    start: ['deno', 'run', '--allow-net', '--allow-env', '--env-file', 'main.ts'],
  },
  bun: {
    check: [
      ['tsc', '-p', '.'],
      ['bun', '-e', "await (await import('./src/sessions.ts')).sessions.list('ada')"],
      ['bun', 'test'],
    ],
    files: {
      'tsconfig.json': tsconfig(),
      // The little of `@types/bun` that is used.
      'bun.d.ts': `
        declare const Bun: {
          env: Record<string, string | undefined>
          serve(options: { port: number; fetch: (request: Request) => unknown }): { url: URL }
        }
        declare module 'bun:sqlite' {
          export class Database {
            constructor(file: string)
            exec(text: string): void
            query(text: string): {
              columnNames: string[]
              all(...params: unknown[]): unknown[]
              run(...params: unknown[]): { changes: number }
            }
          }
        }
        declare module 'bun:test' {
          export { expect, test } from 'vitest'
        }`,
      '.env': `SESSION_SECRET=${secret}`,
    },
    start: ['bun', 'src/server.ts'],
  },
  next: {
    counts: 'Count',
    files: {
      'app/layout.tsx': LAYOUT,
      'tsconfig.json': JSON.stringify({
        extends: '../../../../examples/next/tsconfig.json',
        include: ['**/*.ts', '**/*.tsx', '.next/types/**/*.ts'],
      }),
      'server-only.d.ts': "declare module 'server-only'",
    },
    build: [['next', 'build']],
    check: [
      ['tsc', '-p', '.', '--incremental', 'false'],
      ['vitest', 'run', '--root', '.'],
    ],
    start: ['next', 'start', '-H', '127.0.0.1'],
  },
  sveltekit: {
    files: {
      'src/app.html': example('sveltekit/src/app.html'),
      'vite.config.ts': example('sveltekit/vite.config.ts'),
      // SvelteKit would read one that is called tsconfig.json, with TypeScript 6.
      'tsconfig.check.json': tsconfig(
        {
          module: 'ESNext',
          moduleResolution: 'bundler',
          types: ['node', '@sveltejs/kit'],
          rootDirs: ['.', './.svelte-kit/types'],
        },
        '.svelte-kit/types',
        'node_modules/$app/types/*.d.ts',
      ),
    },
    build: [['vite', 'build']],
    check: [
      ['tsc', '-p', 'tsconfig.check.json'],
      ['vitest', 'run', '--root', '.', '--dir', 'test'],
    ],
    start: ['vite', 'preview'],
  },
  'react-router': {
    files: {
      'app/entry.server.tsx': example('react-router/app/entry.server.tsx'),
      'react-router.config.ts': example('react-router/react-router.config.ts'),
      'vite.config.ts': example('react-router/vite.config.ts'),
      'tsconfig.json': tsconfig(
        {
          module: 'ESNext',
          moduleResolution: 'bundler',
          jsx: 'react-jsx',
          rootDirs: ['.', './.react-router/types'],
        },
        '.react-router/types',
      ),
    },
    build: [['react-router', 'build']],
    check: [
      ['react-router', 'typegen'],
      ['tsc', '-p', '.'],
    ],
    start: ['react-router-serve', 'build/server/index.js'],
  },
  astro: {
    files: {
      'tsconfig.json': tsconfig(
        { module: 'ESNext', moduleResolution: 'bundler' },
        '.astro/**/*.d.ts',
      ),
    },
    build: [['astro', 'build']],
    check: [['tsc', '-p', '.']],
    start: ['node', 'dist/server/entry.mjs'],
  },
  nuxt: {
    files: { 'nuxt.config.ts': example('nuxt/nuxt.config.ts') },
    build: [['nuxt', 'build']],
    check: [['tsc', '--noEmit', '-p', '.nuxt/tsconfig.server.json']],
    start: ['node', '.output/server/index.mjs'],
  },
  tanstack: {
    files: {
      'src/router.tsx': example('tanstack-start/src/router.tsx'),
      'src/routes/__root.tsx': example('tanstack-start/src/routes/__root.tsx'),
      'vite.config.ts': example('tanstack-start/vite.config.ts'),
      'tsconfig.json': example('tanstack-start/tsconfig.json'),
    },
    build: [['vite', 'build']],
    check: [['tsc', '-p', '.']],
    start: ['vite', 'preview'],
  },
}

/** A browser without scripts. */
class Visitor {
  readonly #jar
  readonly #origin: string

  constructor(origin: string) {
    this.#origin = origin
    this.#jar = createCookieJar({ origin })
  }

  /** Goes to a page, over redirects, and returns its text. */
  async open(path: string, init: RequestInit = {}): Promise<string> {
    let [url, how] = [new URL(path, this.#origin), init]
    for (let hops = 0; hops < 5; hops++) {
      const headers = { accept: 'text/html', origin: this.#origin, ...how.headers }
      const send = (request: Request) => fetch(request, { redirect: 'manual' })
      const response = await this.#jar.fetch(send, url, { ...how, headers })
      const location = response.headers.get('location')
      if (!location) {
        const text = await response.text()
        expect([url.pathname, response.status, response.status < 300 || text]).toEqual([
          url.pathname,
          200,
          true,
        ])
        return text
      }
      ;[url, how] = [new URL(location, url), {}]
    }
    throw new Error(`Redirected for ever at ${url.pathname}`)
  }

  /** Opens a page and sends the form that has this button. */
  async submit(path: string, button: string, values: Record<string, string> = {}): Promise<string> {
    const page = await this.open(path)
    const forms = [...page.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g)]
    const [, head = '', body = ''] =
      forms.find(([text]) => text.includes(`${button}</button>`)) ?? []
    if (!head) throw new Error(`${path} has no form "${button}": ${page}`)
    const attribute = (name: string, text: string) =>
      new RegExp(`${name}="([^"]*)"`, 'i').exec(text)?.[1]
    const form = new FormData()
    for (const [input] of body.matchAll(/<input[^>]*>/g)) {
      const name = attribute('name', input)
      if (name) form.set(name, values[name] ?? attribute('value', input) ?? '')
    }
    const isMultipart = attribute('enctype', head)?.includes('multipart')
    const sent = isMultipart ? form : new URLSearchParams([...form] as [string, string][])
    return await this.open(attribute('action', head) || path, { method: 'POST', body: sent })
  }
}

it('has a page for each of them', () => {
  const found = readdirSync(join(root, 'docs/start')).map((file) => file.replace('.md', ''))
  expect(new Set(found)).toEqual(new Set(Object.keys(pages)))
})

describe.each(Object.entries(pages))('docs/start/%s.md', (name, page) => {
  const { before, files, build, check, start, counts, everywhere } = page
  let folder: string
  let server: Server | undefined
  let after: (() => Promise<void>) | undefined

  beforeAll(async () => {
    folder = writeApp(`start/${name}.md`, files)
    after = await before?.(folder)
  })
  afterAll(async () => {
    await server?.stop()
    await after?.()
  })

  it('is an application that starts, signs in and out, and guards a page', async () => {
    for (const [tool, ...args] of build ?? []) await runTool(folder, tool, ...args)
    const [command, ...args] = start
    server = await startProgram(folder, command, ...args)
    const visitor = new Visitor(server.origin)
    expect(await visitor.open('/')).toContain('Hello stranger')
    expect(await visitor.open('/account')).toContain('Hello stranger')
    expect(await visitor.submit('/', 'Sign in', { name: 'Ada' })).toContain('Hello Ada')
    const count = async (): Promise<string> =>
      counts ? await visitor.submit('/account', counts) : await visitor.open('/account')
    expect(await count()).toContain('Ada, visit 1')
    expect(await count()).toContain('Ada, visit 2')
    expect(await visitor.submit('/', 'Sign out')).toContain('Hello stranger')
    expect(await visitor.open('/account')).toContain('Hello stranger')
    if (!everywhere) return
    const other = new Visitor(server.origin)
    for (const one of [visitor, other]) await one.submit('/', 'Sign in', { name: 'Ada' })
    const account = await other.open('/account')
    expect(account.match(/<li>/g)?.length).toBe(2)
    expect(await other.submit('/account', 'Sign out everywhere')).toContain('Hello stranger')
    expect(await visitor.open('/account')).toContain('Hello stranger')
  })

  it.runIf(check)('compiles, and its own tests pass', async () => {
    for (const [tool, ...args] of check ?? []) await runTool(folder, tool, ...args)
  })
})
