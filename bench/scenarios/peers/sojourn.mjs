// This project's build: run `npm run build` in the folder above first.
import { createSessions } from '../../../dist/index.js'
import { createMemoryStore } from '../../../dist/stores/memory.js'

const start =
  (options) =>
  ({ secrets, store, answer }) => {
    const sessions = createSessions({ secret: secrets, ...options(store) })
    return sessions.handler((request) => {
      const open = () => sessions.get(request)
      return answer(new URL(request.url).pathname, {
        get: async (key) => (key === 'user' ? (await open()).subject : (await open()).get(key)),
        set: async (key, value) => (await open()).set(key, value),
        add: async (key) => (await open()).update(key, (n = 0) => n + 1),
        login: async (user) => (await open()).login(user),
        logout: async () => (await open()).destroy(),
        everywhere: async () => void (await sessions.revokeAll((await open()).subject)),
      })
    })
  }

/** The memory store, through the shared log; it outlives a restart. */
function logged(store) {
  store.memory ??= createMemoryStore()
  const through =
    (name) =>
    (...args) =>
      store.op(name, () => store.memory[name](...args))
  const index = (name) =>
    (...args) =>
      store.op(name, () => store.memory.index[name](...args))
  return {
    name: 'logged',
    atomic: true,
    read: through('read'),
    write: through('write'),
    end: through('end'),
    index: { list: index('list'), end: index('end') },
  }
}

const common = { name: 'Sojourn' }
const inCookie = { ...common, kind: 'cookie', start: start(() => ({})) }
const inStore = { ...common, kind: 'store', start: start((store) => ({ store: logged(store) })) }
export const peers = [
  inCookie,
  inStore,
  {
    ...inStore,
    variant: ', `snapshot` of 10 s',
    start: start((store) => ({
      store: logged(store),
      snapshot: { maxAge: 10, staleIfError: 3600 },
    })),
  },
  {
    ...inStore,
    option: "`onStoreFailure: 'throw'`",
    scenarios: ['storeDown', 'failedRead', 'failedWrite'],
    start: start((store) => ({ store: logged(store), onStoreFailure: 'throw' })),
  },
  {
    ...inCookie,
    option: '`revocations: { store, ttl: 0 }`',
    scenarios: ['logoutDuringWrite', 'replayAfterLogout', 'everywhere'],
    start: start((store) => ({ revocations: { store: logged(store), ttl: 0 } })),
  },
  {
    ...inCookie,
    option: '`cookie: { maxChunks: 4 }`',
    scenarios: ['tooLarge'],
    start: start(() => ({ cookie: { maxChunks: 4 } })),
  },
]
