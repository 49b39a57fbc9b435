// This project's build: run `npm run build` in the folder above first. Skipped while it is absent.
import { createKeyRing } from '../../dist/crypto/keyring.js'
import { openToken, sealToken } from '../../dist/crypto/token.js'
import { createSessions } from '../../dist/index.js'
import { cookieValue, NAME, SECRET, text } from '../lib/common.mjs'

const LIMIT = `export { createSessions } from '../dist/index.js'`

function candidate(name, cache) {
  let sessions
  const init = async () => {
    const cookie = { name: NAME }
    sessions = createSessions({ secret: SECRET, cookie, ...(cache ? {} : { cache: false }) })
  }
  const seal = async (data) => {
    const session = await sessions.open(null)
    for (const key in data) session.set(key, data[key])
    const [cookie] = await sessions.save(session)
    return cookieValue(cookie)
  }
  const unseal = async (value) => (await sessions.open(`${NAME}=${value}`)).data
  const bare = async () => text('ok')
  const make = async () => {
    await init()
    return {
      cookie: async (data) => `${NAME}=${await seal(data)}`,
      bare,
      untouched: sessions.handler(bare),
      read: sessions.handler(async (request) => {
        const session = await sessions.get(request)
        if (session.get('count') !== 41) throw new Error('read something else')
        return text('ok')
      }),
      rmw: sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.update('count', (n) => n + 1)
        return text(String(session.get('count')))
      }),
    }
  }
  const handlers = [{ variant: name, make }]
  return { name, kind: 'enc', init, seal, unseal, handlers, bundle: cache ? undefined : { code: LIMIT } }
}

// The sealing alone, on the same work as raw WebCrypto: JSON, one AES-GCM call, base64url.
const ring = createKeyRing([SECRET], 'cookie')
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const token = {
  name: 'Sojourn token',
  kind: 'part',
  seal: (data) => sealToken(ring, NAME, encoder.encode(JSON.stringify(data)), Date.now()),
  unseal: async (text) => JSON.parse(decoder.decode(await openToken(ring, NAME, text, Date.now()))),
}

export const adapters = [
  token,
  candidate('Sojourn', false),
  candidate('Sojourn (warm isolate)', true),
]
