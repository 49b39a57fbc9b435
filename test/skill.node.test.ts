import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import pkg from '../package.json' with { type: 'json' }
import { blocksOf, read, root } from './support/documents.ts'

const SKILL = 'skills/sojourn/SKILL.md'
const folder = `${root}.test-results/skill`
const text = read(SKILL)

/** The chapters that show excerpts of a page, by the path of the page. */
const excerpts = [...text.matchAll(/^### (docs\/\S+\.md)\n([\s\S]*?)(?=^##)/gm)].flatMap(
  ([, page = '', chapter = '']) =>
    [...chapter.matchAll(/^```tsx?\n\/\/ (\S+)\n([\s\S]*?)```$/gm)].map(
      ([, file = '', code = '']) => [page, file, code] as const,
    ),
)

/** The programs: blocks that no chapter of a framework has. */
const programs = blocksOf(SKILL).filter(
  ({ language, code }) => language === 'ts' && !excerpts.some(([, , part]) => code.endsWith(part)),
)

describe('the skill for coding agents', () => {
  it('names itself and says when to use it, within the bounds of the format', () => {
    const [, name = '', description = ''] =
      /^---\nname: (.*)\ndescription: (.*)\n---\n/.exec(text) ?? []
    expect(name).toBe('sojourn')
    expect(description.length).toBeGreaterThan(100)
    expect(description.length).toBeLessThan(1024)
    expect(text.split('\n').length).toBeLessThan(500)
  })

  it('has a row for the page of every framework, and names only files and entries of the package', () => {
    const pages = readdirSync(`${root}docs/start`).map((name) => `docs/start/${name}`)
    const named = [...text.matchAll(/\bdocs\/[\w/-]+(?:\.md|\/)/g)].map(([path]) => path)
    const entries = [...text.matchAll(/`sojourn\/([\w-]+)`/g)].map(([, name]) => `./${name}`)
    expect(pages.filter((page) => !text.includes(`| \`${page}\` |`))).toEqual([])
    expect(named.filter((path) => !existsSync(root + path))).toEqual([])
    expect(entries.filter((name) => !(name in pkg.exports))).toEqual([])
  })

  it('shows every page of docs/start but Bun, in excerpts that are in its file, word for word', () => {
    const pages = readdirSync(`${root}docs/start`).map((name) => `docs/start/${name}`)
    const shown = new Set(excerpts.map(([page]) => page))
    expect(pages.filter((page) => !shown.has(page))).toEqual(['docs/start/bun.md'])
    for (const [page, file, code] of excerpts) {
      const source = blocksOf(page).find((block) => block.code.startsWith(`// ${file}\n`))
      expect([page, file, source?.code.includes(code)]).toEqual([page, file, true])
    }
  })

  it('has programs that compile', () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const { title, code } of programs) writeFileSync(`${folder}/${title}`, code)
    const config = { extends: '../../tsconfig.json', include: ['.'] }
    const options = { compilerOptions: { rootDir: '../..' } }
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ ...config, ...options }))
    const run = (): string =>
      execFileSync(`${root}node_modules/.bin/tsc`, ['-p', folder], { encoding: 'utf8' })
    expect(run()).toBe('')
  })

  it.each(programs.map(({ title }) => title))('%s prints what it says', (title) => {
    const { code = '' } = programs.find((one) => one.title === title) ?? {}
    const said = [...code.matchAll(/(?:^console.*\)|^}\)\)) \/\/ (.*)$/gm)].map(([, line]) => line)
    expect(said.length).toBe(code.match(/console\.log\(/g)?.length)
    const node = `${root}node_modules/.bin/node`
    const printed = execFileSync(node, [`${folder}/${title}`], { encoding: 'utf8' })
    expect(printed.trim().split('\n')).toEqual(said)
  })
})
