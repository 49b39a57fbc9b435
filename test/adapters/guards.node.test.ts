import { requireSession } from '../../src/guard/guard.ts'
import { adapters } from './every-adapter.ts'
import { testGuards } from './guarded.ts'

for (const { name, serve } of adapters) {
  testGuards(name, (sessions, requirements, page) => {
    const guard = requireSession(sessions, requirements)
    return serve(sessions, async ({ request }) => (await guard(request)) ?? page(request))
  })
}
