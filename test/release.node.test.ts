import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { read, root } from './support/documents.ts'

const folder = `${root}.test-results/release`

const { version } = JSON.parse(read('package.json'))

/** Runs the check on the project, in a copy of what it reads, with these words replaced, for a release of this tag. */
function check(replace: (text: string, path: string) => string, tag = `v${version}`): string[] {
  rmSync(folder, { recursive: true, force: true })
  const files = 'package.json jsr.json package-lock.json CHANGELOG.md src/observe/otel.ts'
  for (const path of files.split(' ')) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), replace(read(path), path))
  }
  const args = [`${root}scripts/release.mjs`, folder]
  const env = { ...process.env, GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: tag }
  const { status, stderr } = spawnSync('node', args, { encoding: 'utf8', env })
  const lines = stderr.split('\n').filter(Boolean)
  expect(status).toBe(lines.length ? 1 : 0)
  return lines
}

const ready = (text: string): string =>
  text
    .replaceAll('OWNER', 'somebody')
    .replace('sojourn.example', 'sojourn.dev')
    .replace('(unreleased)', '(2026-12-01)')

describe('the check before a release', () => {
  it('lets through what is complete', () => {
    expect(check(ready)).toEqual([])
  })

  it('refuses a tag of another version', () => {
    expect(check(ready, 'v0.0.9')).toEqual([`The tag is v0.0.9, and not v${version}`])
  })

  // Whatever was replaced in the project by then: the release itself runs this too.
  it('names each placeholder, each version that differs, and a change log without a date', () => {
    const url = 'https://github.com/OWNER/sojourn'
    const placeholders = { homepage: 'https://sojourn.example', bugs: url, repository: { url } }
    const lines = check((text, path) =>
      path === 'package.json'
        ? JSON.stringify({ ...JSON.parse(text), ...placeholders })
        : text
            .replaceAll(`'${version}'`, "'0.0.9'")
            .replaceAll(`"${version}"`, '"0.0.9"')
            .replace(/^## .*$/m, `## ${version} (unreleased)`),
    )
    expect(lines.map((line) => line.split(':')[0])).toEqual([
      'package.json',
      'package.json',
      'package.json',
      'jsr.json',
      'package-lock.json',
      'src/observe/otel.ts',
      'CHANGELOG.md',
    ])
  })
})
