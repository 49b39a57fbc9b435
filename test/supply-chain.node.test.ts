import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { linksOf, root } from './support/documents.ts'

const workflows = readdirSync(`${root}.github/workflows`).map((name) => [
  name,
  readFileSync(`${root}.github/workflows/${name}`, 'utf8'),
])
const { dependencies, scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

describe('the package', () => {
  it('holds its source, what is built from it, its guides, and what operators take', () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
    const paths = (files as { path: string }[]).map(({ path }) => path)
    const others = paths.filter((path) => {
      const source = path.replace(/^dist\/(.*?)(\.d\.ts|\.js)$/, 'src/$1')
      const isBuilt = source !== path && [`${source}.ts`, `${source}.d.ts`].some(isThere)
      return !isBuilt && !/^src\/[\w/.-]+\.ts$|^docs\/([\w-]+\/)*[\w-]+\.(md|svg)$/.test(path)
    })
    expect(new Set(others)).toEqual(
      new Set([
        'ARCHITECTURE.md',
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'migrations/mysql/0001_sojourn.sql',
        'migrations/postgres/0001_sojourn.sql',
        'migrations/sqlite/0001_sojourn.sql',
        'ops/alerts.yml',
        'ops/dashboard.json',
        'package.json',
        'skills/sojourn/SKILL.md',
      ]),
    )
  })

  it('links from its documents to nothing that is not in it', () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
    const paths = (files as { path: string }[]).map(({ path }) => path)
    const dead = paths
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) => linksOf(path).map((link) => [path, link] as const))
      .filter(([path, link]) => !isLinked(paths, path, link))
    expect(dead).toEqual([])
  })

  it('holds on JSR whatever it holds on npm, apart from what is built', () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
    const { publish } = JSON.parse(readFileSync(`${root}jsr.json`, 'utf8'))
    const isIncluded = (path: string): boolean =>
      publish.include.some((one: string) => path === one || path.startsWith(`${one}/`))
    const left = (files as { path: string }[])
      .map(({ path }) => path)
      .filter((path) => !isIncluded(path))
    expect(left.filter((path) => !/^dist\/|^package\.json$/.test(path))).toEqual([])
  })

  it('has one dependency, of one version, and runs nothing where it is installed', () => {
    expect(Object.entries(dependencies)).toEqual([['cookie', expect.stringMatching(/^[\d.]+$/)]])
    expect(Object.keys(scripts).filter((name) => /install|prepare|prepublish/.test(name))).toEqual(
      [],
    )
  })
})

/** Whether a link of a document leads to a file of the package, and to a heading that it has. */
function isLinked(paths: readonly string[], from: string, link: string): boolean {
  const { pathname, hash } = new URL(link, `https://package.example/${from}`)
  const path = pathname.slice(1)
  if (!paths.includes(path)) return false
  const headings = [...readFileSync(root + path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(
    ([, heading = '']) =>
      `#${heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-')}`,
  )
  return !hash || headings.includes(hash)
}

describe('the lock files', () => {
  it.each(['package-lock.json', 'bench/package-lock.json', 'site/package-lock.json'])(
    '%s says what every package has to hash to',
    (file) => {
      const { packages } = JSON.parse(readFileSync(root + file, 'utf8'))
      const { '': _, ...installed } = packages as Record<string, { integrity?: string }>
      const entries = Object.entries(installed)
      expect(entries.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([])
    },
  )
})

describe('the workflows', () => {
  it.each(workflows)(
    '%s has no rights but those of a job, and no action that can change',
    (_, text) => {
      expect(text).toMatch(/^permissions: \{\}$/m)
      const uses = text!.match(/uses: .*/g) ?? []
      expect(uses.filter((one) => !/@[0-9a-f]{40} # v[\d.]+$/.test(one))).toEqual([])
      expect(text).not.toMatch(/pull_request_target|\$\{\{ *github\.(event|head_ref)|secrets\./)
    },
  )
})

it('a job that may publish runs no test, and no script of a dependency', () => {
  const jobs = workflows.flatMap(([, text = '']) => text.split(/^ {2}(?=\w+:$)/m))
  const publishing = jobs.filter((job) => job.includes('id-token: write'))
  const commands = publishing.flatMap((job) => job.match(/(?<=- run: ).*/g) ?? [])
  expect(commands).toEqual([
    'npm ci --ignore-scripts',
    'node scripts/build.mjs',
    'npm publish --provenance --access public --ignore-scripts',
    'npm ci --ignore-scripts',
    'node_modules/.bin/deno publish',
  ])
})

function isThere(path: string): boolean {
  return existsSync(root + path)
}
