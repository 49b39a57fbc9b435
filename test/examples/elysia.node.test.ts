import { startProgram } from './server.ts'
import { tellStory } from './story.ts'

tellStory('Elysia', () => startProgram('.', 'bun', 'examples/elysia/main.ts'))
