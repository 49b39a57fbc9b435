import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}.test-results/readme`

describe('README.md', () => {
  it('has examples that compile against the built package', () => {
    const text = readFileSync(`${root}README.md`, 'utf8')
    const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code as string)
    expect(blocks.length).toBeGreaterThan(3)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const [i, code] of blocks.entries()) writeFileSync(`${folder}/block-${i}.ts`, code)
    const config = {
      extends: '../../tsconfig.json',
      include: ['.'],
      compilerOptions: { noUnusedLocals: false, rootDir: '../..' },
    }
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config))
    let output = ''
    try {
      execFileSync(`${root}node_modules/.bin/tsc`, ['-p', folder], { encoding: 'utf8' })
    } catch (error) {
      output = String((error as { stdout: string }).stdout)
    }
    expect(output).toBe('')
  })
})
