import { expect, it } from 'vitest'
import { runTool, startAsWritten, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const folder = 'examples/astro'

tellStory('Astro', async () => {
  await runTool(folder, 'astro', 'build')
  return startProgram(folder, 'node', 'dist/server/entry.mjs')
})

it('the Astro example compiles', async () => {
  // With the types that the build has written.
  await runTool(folder, 'tsc', '-p', '.')
})

it('the Astro example starts as it says', async () => {
  const server = await startAsWritten(folder)
  const { status } = await fetch(server.origin)
  await server.stop()
  expect(status).toBe(200)
})
