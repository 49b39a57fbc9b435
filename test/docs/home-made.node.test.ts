import { expect, it } from 'vitest'
import { runTool } from '../examples/server.ts'
import { filesOf, writeApp } from './page-app.ts'

it('docs/understand/home-made.md: each fault is there, and Sojourn does not have it', async () => {
  const page = 'understand/home-made.md'
  expect([...filesOf(page).keys()].filter((file) => file.includes('.test.')).length).toBe(11)
  await runTool(writeApp(page), 'vitest', 'run', '--root', '.')
})
