import { expect, it } from 'vitest'
import { runTool, startAsWritten, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const applications: [name: string, folder: string][] = [
  ['React Router with a middleware', 'examples/react-router'],
  ['React Router with a SessionStorage', 'examples/react-router-storage'],
]
for (const [name, folder] of applications) {
  tellStory(
    name,
    async () => {
      await runTool(folder, 'react-router', 'build')
      return startProgram(folder, 'react-router-serve', 'build/server/index.js')
    },
    { seesRequests: !folder.endsWith('storage') },
  )

  it(`${name} compiles`, async () => {
    await runTool(folder, 'react-router', 'typegen')
    await runTool(folder, 'tsc', '-p', '.')
  })

  it(`${name} starts as it says`, async () => {
    const server = await startAsWritten(folder)
    const { status } = await fetch(server.origin)
    await server.stop()
    expect(status).toBe(200)
  })
}
