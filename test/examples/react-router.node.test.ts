import { it } from 'vitest'
import { runTool, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const folder = 'examples/react-router'

tellStory('React Router', async () => {
  await runTool(folder, 'react-router', 'build')
  return startProgram(folder, 'react-router-serve', 'build/server/index.js')
})

it('the React Router example compiles', async () => {
  await runTool(folder, 'react-router', 'typegen')
  await runTool(folder, 'tsc', '-p', '.')
})
