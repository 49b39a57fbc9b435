import { beforeAll, it } from 'vitest'
import { runTool, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const folder = 'examples/nuxt'

beforeAll(() => runTool(folder, 'nuxt', 'build'), 120_000)

tellStory('Nuxt', () => startProgram(folder, 'node', '.output/server/index.mjs'))

it('the Nuxt example compiles', async () => {
  // With the types that the build has written.
  await runTool(folder, 'tsc', '--noEmit', '-p', '.nuxt/tsconfig.server.json')
})
