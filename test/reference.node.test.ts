import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { root } from './support/documents.ts'

it('docs/reference/ says what the docstrings say, and every option has one, with its default', () => {
  const args = [`${root}scripts/reference.mjs`, '--check']
  expect(execFileSync('node', args, { cwd: root, encoding: 'utf8' })).toBe('')
})
