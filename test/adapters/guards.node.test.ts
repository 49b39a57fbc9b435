import { requireSession } from '../../src/guard/guard.ts'
import { adapters } from './every-adapter.ts'
import { testGuards } from './guarded.ts'

for (const { name, serve, guards } of adapters) {
  testGuards(name, (sessions, requirements, page) => {
    if (guards) return serve(sessions, ({ request }) => page(request), requirements)
    const guard = requireSession(sessions, requirements)
    return serve(sessions, async ({ request }) => (await guard(request)) ?? page(request))
  })
}
