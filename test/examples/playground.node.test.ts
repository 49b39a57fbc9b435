import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { MEANINGS } from '../../examples/playground/src/events.ts'
import { defaultLevels } from '../../src/observe/log.ts'

it('the playground explains every event that is logged, and the document that it links to has it', () => {
  const logged = Object.entries(defaultLevels).flatMap(([type, level]) => (level ? [type] : []))
  expect(new Set(Object.keys(MEANINGS))).toEqual(new Set(logged))
  const document = readFileSync(new URL('../../docs/error-handling.md', import.meta.url), 'utf8')
  expect(logged.filter((type) => !document.includes(`\`${type}\``))).toEqual([])
})
