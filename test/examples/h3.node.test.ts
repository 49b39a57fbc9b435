import { startAsWritten } from './server.ts'
import { tellStory } from './story.ts'

tellStory('h3', () => startAsWritten('examples/h3/main.ts'))
tellStory('h3 version 1', () => startAsWritten('examples/h3/v1.ts'))
