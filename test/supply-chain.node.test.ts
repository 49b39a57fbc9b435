import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const workflows = readdirSync(`${root}.github/workflows`).map((name) => [
  name,
  readFileSync(`${root}.github/workflows/${name}`, 'utf8'),
])
const { dependencies, scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

describe('the package', () => {
  it('holds its source, what is built from it, its guides, and seven files', () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
    const paths = (files as { path: string }[]).map(({ path }) => path)
    const others = paths.filter((path) => {
      const source = path.replace(/^dist\/(.*?)(\.d\.ts|\.js)$/, 'src/$1')
      const isBuilt = source !== path && [`${source}.ts`, `${source}.d.ts`].some(isThere)
      return !isBuilt && !/^src\/[\w/.-]+\.ts$|^docs\/[\w-]+\.md$/.test(path)
    })
    expect(new Set(others)).toEqual(
      new Set([
        'ARCHITECTURE.md',
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'migrations/0001_sojourn.sql',
        'package.json',
      ]),
    )
  })

  it('has one dependency, of one version, and runs nothing where it is installed', () => {
    expect(Object.entries(dependencies)).toEqual([['cookie', expect.stringMatching(/^[\d.]+$/)]])
    expect(Object.keys(scripts).filter((name) => /install|prepare|prepublish/.test(name))).toEqual(
      [],
    )
  })
})

describe('the lock files', () => {
  it.each(['package-lock.json', 'bench/package-lock.json'])(
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

function isThere(path: string): boolean {
  return existsSync(root + path)
}
