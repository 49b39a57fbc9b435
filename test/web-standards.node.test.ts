import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))

const all = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.js'),
)
/** The command line is the one place for what only Node, Deno and Bun have. */
const modules = all.filter((path) => !path.startsWith('cli/'))

/** It asks a runtime for a faster cipher, and does without where there is none. */
const BUILTINS = 'adapters/node-aes.js'

/** Comments may name what code may not use. */
const codeOf = (path: string): string =>
  readFileSync(dist + path, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '')

const nodeOnly: [string, RegExp][] = [
  ['a node: import', /['"]node:/],
  ['Buffer', /(?<![\w$.])Buffer\b/],
  ['process', /(?<![\w$.])process\s*[.[]/],
  ['require()', /(?<![\w$.])require\(\s*['"`]/],
]

describe('the built package', () => {
  it('has modules to look at', () => {
    expect(modules).toContain('index.js')
  })

  it('has a command line that no other module imports', () => {
    expect(all.length).toBeGreaterThan(modules.length)
    expect(modules.filter((path) => /['"][./]*\/cli\//.test(codeOf(path)))).toEqual([])
  })

  it('has one module that asks for what a runtime has built in', () => {
    expect(modules.filter((path) => /getBuiltinModule/.test(codeOf(path)))).toEqual([BUILTINS])
  })

  it.each(nodeOnly)('does without %s', (_, pattern) => {
    expect(modules.filter((path) => pattern.test(codeOf(path)))).toEqual([])
  })
})
