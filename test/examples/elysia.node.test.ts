import { startAsWritten } from './server.ts'
import { tellStory } from './story.ts'

tellStory('Elysia', () => startAsWritten('examples/elysia/main.ts'))
