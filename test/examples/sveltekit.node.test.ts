import { expect, it } from 'vitest'
import { runTool, startAsWritten, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const folder = 'examples/sveltekit'

tellStory('SvelteKit', async () => {
  await runTool(folder, 'vite', 'build')
  return startProgram(folder, 'vite', 'preview')
})

it('the SvelteKit example compiles', async () => {
  // Against the types that the build has written.
  await runTool(folder, 'tsc', '-p', 'tsconfig.check.json')
})

it('the SvelteKit example starts as it says', async () => {
  const server = await startAsWritten(folder)
  const { status } = await fetch(server.origin)
  await server.stop()
  expect(status).toBe(200)
})
