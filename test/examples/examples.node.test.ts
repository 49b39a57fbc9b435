import { expect, it } from 'vitest'
import { startAsWritten, startInWorkerd } from './server.ts'
import { tellStory } from './story.ts'

tellStory('deno', () => startAsWritten('examples/deno/main.ts'))
tellStory('bun', () => startAsWritten('examples/bun/main.ts'))
tellStory('node', () => startAsWritten('examples/node/main.ts'))
tellStory('a worker with KV', () => startInWorkerd('examples/workers/worker.ts'), { merges: false })
tellStory('Hono with sessions in cookies', () => startInWorkerd('examples/hono/app.ts'), {
  merges: false,
  revokes: false,
})

it.each(['examples/workers/worker.ts', 'examples/hono/app.ts', 'examples/error-handling/main.ts'])(
  '%s starts as it says',
  async (example) => {
    const server = await startAsWritten(example)
    const { status } = await fetch(server.origin)
    await server.stop()
    expect(status).toBe(200)
  },
)
