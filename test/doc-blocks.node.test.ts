import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generateSecret } from '../src/index.ts'
import { blocksOf, documents, root } from './support/documents.ts'

/** Everything that may stand behind three backticks: a misspelt `typescript` would be checked by nobody. */
const LANGUAGES =
  'ts tsx js svelte vue astro html http sh toml json jsonc yaml sql promql ini text diff'.split(' ')
/**
 * Pages of docs/start/ are whole applications: a test of their own starts them. Those of docs/reference/ are
 * made from source that is compiled.
 */
const compiled = documents().filter((path) => !/^docs\/(start|reference)\//.test(path))
const folder = `${root}.test-results/docs`

/** Loads modules one after the other, and prints those that throw, or wait for a server that is not there. */
const LOAD = `console.log = () => {}
const late = () => new Promise((_, reject) => setTimeout(reject, 60_000, new Error('does not load in a minute')))
let rest = Promise.resolve()
for (const file of process.argv.slice(1)) {
  rest = rest.then(() => Promise.race([import(file), late()])).catch((error) => process.stdout.write(file + ': ' + error.message + '\\n'))
}
rest.then(() => process.exit())`

/** The environment that the pages tell their readers to make. */
const env = {
  ...process.env,
  ...Object.fromEntries(
    'SESSION IRON AUTH NUXT_SESSION EXPRESS COOKIE'
      .split(' ')
      .flatMap((name) =>
        ['SECRET', 'PASSWORD', 'KEY'].map((kind) => [`${name}_${kind}`, generateSecret()]),
      ),
  ),
}

/** Writes the blocks of a page as files of one folder: under their titles, or numbered. */
function writeBlocks(path: string): number {
  const blocks = blocksOf(path).filter(({ language }) => /^tsx?$/.test(language))
  for (const [i, { title, code, language }] of blocks.entries()) {
    const file = `${folder}/${path.replace('.md', '')}/${title ?? `block-${i}.${language}`}`
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, code)
  }
  return blocks.length
}

function compile(): string {
  try {
    const tsc = `${root}node_modules/.bin/tsc`
    return execFileSync(tsc, ['-p', folder], { encoding: 'utf8' })
  } catch (error) {
    return String((error as { stdout: string }).stdout)
  }
}

describe('the code blocks of README.md and docs/', () => {
  it('are in a language that is known', () => {
    const found = documents().flatMap((path) =>
      blocksOf(path)
        .filter(({ language }) => !LANGUAGES.includes(language))
        .map(({ language, line }) => `${path}:${line} ${language}`),
    )
    expect(found).toEqual([])
  })

  it('compile against the built package', () => {
    rmSync(folder, { recursive: true, force: true })
    const counts = compiled.map((path) => writeBlocks(path))
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThan(40)
    const compilerOptions = {
      noUnusedLocals: false,
      rootDir: '../..',
      jsx: 'react-jsx',
      module: 'esnext',
      moduleResolution: 'bundler',
      moduleDetection: 'force',
    }
    const config = {
      extends: '../../tsconfig.json',
      include: ['.', '../../test/docs/stand-ins'],
      compilerOptions,
    }
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config))
    expect(compile()).toBe('')
  })

  it('run in Node where they are complete: nothing is declared, nothing of another file imported', () => {
    // In workerd, in Next, and with a package that is not installed: tests of their own run these.
    const elsewhere = /\bdeclare |from '(?:\.|cloudflare:|next\/|arctic'|sojourn\/durable-object')/
    rmSync(`${folder}-run`, { recursive: true, force: true })
    mkdirSync(`${folder}-run`, { recursive: true })
    const files = compiled.flatMap((path) =>
      blocksOf(path)
        .filter(({ language, code }) => language === 'ts' && !elsewhere.test(code))
        .map(({ code, line }) => {
          const file = `${folder}-run/${path.replaceAll(/\W/g, '-')}-${line}.ts`
          writeFileSync(file, code)
          return file
        }),
    )
    expect(files.length).toBeGreaterThan(35)
    // Clients that find no server say so on the other stream, again and again.
    const stdio = ['ignore' as const, 'pipe' as const, 'ignore' as const]
    const options = { cwd: `${folder}-run`, env, encoding: 'utf8' as const, stdio }
    expect(execFileSync('node', ['-e', LOAD, ...files], options)).toBe('')
  })

  it('of JSON are JSON', () => {
    for (const path of documents()) {
      for (const { language, code } of blocksOf(path)) {
        if (language === 'json') expect(() => JSON.parse(code)).not.toThrow()
      }
    }
  })
})
