import { beforeAll } from 'vitest'
import { runTool, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const folder = 'examples/nitro'

beforeAll(() => runTool(folder, 'nitro', 'build'), 60_000)

tellStory('Nitro', () => startProgram(folder, 'node', '.output/server/index.mjs'))
