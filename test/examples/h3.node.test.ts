import { startProgram } from './server.ts'
import { tellStory } from './story.ts'

tellStory('h3', () => startProgram('.', 'node', 'examples/h3/main.ts'))
tellStory('h3 version 1', () => startProgram('.', 'node', 'examples/h3/v1.ts'))
