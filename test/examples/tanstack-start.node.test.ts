import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root, runTool, startAsWritten, startProgram } from './server.ts'
import { tellStory } from './story.ts'

const folder = 'examples/tanstack-start'

tellStory('TanStack Start', async () => {
  await runTool(folder, 'vite', 'build')
  return startProgram(folder, 'vite', 'preview')
})

it('the TanStack Start example compiles', async () => {
  // With the routes that the build has written.
  await runTool(folder, 'tsc', '-p', '.')
})

it('the TanStack Start example sends no session code to browsers', () => {
  const client = join(root, folder, 'dist/client')
  const files = readdirSync(client, { recursive: true, encoding: 'utf8' })
  const scripts = files.filter((file) => file.endsWith('.js'))
  expect(scripts).not.toEqual([])
  for (const script of scripts) {
    expect(readFileSync(join(client, script), 'utf8')).not.toMatch(/SessionStore|__Host-/)
  }
})

it('the TanStack Start example starts as it says', async () => {
  const server = await startAsWritten(folder)
  const { status } = await fetch(server.origin)
  await server.stop()
  expect(status).toBe(200)
})
