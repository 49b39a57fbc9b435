import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import jsr from '../jsr.json' with { type: 'json' }
import pkg from '../package.json' with { type: 'json' }

it('npm and JSR publish the same version and the same entry points', () => {
  const { './package.json': _, ...entries } = pkg.exports
  const sources = Object.entries(entries).map(([name, { default: file }]) => [
    name,
    file.replace('./dist/', './src/').replace(/\.js$/, '.ts'),
  ])
  expect(jsr.version).toBe(pkg.version)
  expect(jsr.exports).toEqual(Object.fromEntries(sources))
})

it('has no entry point that awaits as it loads: CommonJS requires each', () => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const names = Object.keys(pkg.exports).filter(
    (name) => !/package\.json|durable-object/.test(name),
  )
  const code = `for (const name of process.argv.slice(1)) {
    try { require(name) } catch (error) { console.log(name, error.code ?? error.message) }
  }`
  const subpaths = names.map((name) => name.replace('.', 'sojourn'))
  expect(execFileSync('node', ['-e', code, ...subpaths], { cwd: root, encoding: 'utf8' })).toBe('')
})

it('has types that need no DOM: those of Node are enough', () => {
  const folder = fileURLToPath(new URL('../.test-results/types-on-node', import.meta.url))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // What these import of others brings the types of a DOM along.
  const others = /next|react-router|otel|hono|durable-object|package\.json/
  const names = Object.keys(pkg.exports).filter((name) => !others.test(name))
  const lines = names.map((name) => `import '${name.replace('.', 'sojourn')}'`)
  // And every option may be undefined, under the strictest setting too.
  lines.push(
    "import { createSessions, type SessionsOptions } from 'sojourn'",
    "import { requireSession, type Requirements } from 'sojourn/guard'",
    'type Maybe<T> = { [K in keyof T]?: T[K] | undefined }',
    "declare const options: Maybe<Omit<SessionsOptions, 'secret'>>, requirements: Maybe<Requirements>",
    "requireSession(createSessions({ ...options, secret: '' }), requirements)",
  )
  writeFileSync(`${folder}/index.ts`, lines.join('\n'))
  const types = ['--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022', '--types', 'node']
  const strict = ['--strict', '--exactOptionalPropertyTypes']
  const tsc = fileURLToPath(new URL('../node_modules/.bin/tsc', import.meta.url))
  const compile = (): string => {
    try {
      return execFileSync(tsc, ['--noEmit', ...strict, '--ignoreConfig', ...types, 'index.ts'], {
        cwd: folder,
        encoding: 'utf8',
      })
    } catch (error) {
      return String((error as { stdout: string }).stdout)
    }
  }
  expect(compile()).toBe('')
})
