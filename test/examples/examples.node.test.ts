import { startInWorkerd, startProgram } from './server.ts'
import { tellStory } from './story.ts'

tellStory('deno', () =>
  startProgram('.', 'deno', 'run', '--allow-net', '--allow-env', 'examples/deno/main.ts'),
)
tellStory('bun', () => startProgram('.', 'bun', 'examples/bun/main.ts'))
tellStory('node', () => startProgram('.', 'node', 'examples/node/main.ts'))
tellStory('a worker with KV', () => startInWorkerd('examples/workers/worker.ts'), { merges: false })
tellStory('Hono with sessions in cookies', () => startInWorkerd('examples/hono/app.ts'), {
  merges: false,
  revokes: false,
})
