// One line per adapter file. runtimes: n=node b=bun d=deno w=workerd.
// To add a candidate: write adapters/<x>.mjs exporting `adapters` (array, see README.md) and add a line here.
export const registry = [
  { file: 'sojourn.mjs', runtimes: 'nbdw', optional: true, load: () => import('./sojourn.mjs') },
  { file: 'raw.mjs', runtimes: 'nbdw', load: () => import('./raw.mjs') },
  { file: 'node-crypto.mjs', runtimes: 'n', load: () => import('./node-crypto.mjs') },
  { file: 'xaes.mjs', runtimes: 'nbdw', load: () => import('./xaes.mjs') },
  { file: 'jose.mjs', runtimes: 'nbdw', load: () => import('./jose.mjs') },
  { file: 'hono-session.mjs', runtimes: 'nbdw', load: () => import('./hono-session.mjs') },
  { file: 'hono-sessions.mjs', runtimes: 'nbdw', load: () => import('./hono-sessions.mjs') },
  { file: 'iron-session.mjs', runtimes: 'nbdw', load: () => import('./iron-session.mjs') },
  { file: 'h3.mjs', runtimes: 'nbdw', load: () => import('./h3.mjs') },
  { file: 'remix.mjs', runtimes: 'nbdw', load: () => import('./remix.mjs') },
  { file: 'react-router.mjs', runtimes: 'nbdw', load: () => import('./react-router.mjs') },
  { file: 'auth-core.mjs', runtimes: 'nbdw', load: () => import('./auth-core.mjs') },
  { file: 'better-auth.mjs', runtimes: 'nbdw', load: () => import('./better-auth.mjs') },
  { file: 'cookie-session.mjs', runtimes: 'n', load: () => import('./cookie-session.mjs') },
  { file: 'fastify-secure-session.mjs', runtimes: 'n', load: () => import('./fastify-secure-session.mjs') },
]
