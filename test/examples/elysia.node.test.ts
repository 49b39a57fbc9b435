import { startAsWritten } from './server.ts'
import { tellStory } from './story.ts'

// Elysia checks the form before it calls the handler, which opens the session.
tellStory('Elysia', () => startAsWritten('examples/elysia/main.ts'), { opensFirst: false })
