// The scenarios. Each gets a freshly started library and tells in a few words what happened.
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { SECRET, unhandled } from './world.mjs'

const SIGNED_IN = 'signed in'
const SIGNED_OUT = 'signed out'
const signIn = (session) => session.login('ada')
const write = (key, value) => (session) => session.set(key, value)
const state = async (browser) => ((await browser.read('user')) === 'ada' ? SIGNED_IN : SIGNED_OUT)
const plural = (n, noun) => `${n} ${noun}${n === 1 ? '' : 's'}`

/** Cookies set and, where there is a store, what it was asked for. */
function cost({ received, operations }, { kind }) {
  const cookies = plural(received.length, 'cookie')
  if (kind === 'cookie') return cookies
  const names = operations.length ? ` (${operations.join(', ')})` : ''
  return `${cookies}, ${plural(operations.length, 'op')}${names}`
}

async function signedIn({ browser }) {
  const visitor = browser()
  await visitor.visit(signIn)
  return visitor
}

/** Two pages on two instances: both have read the session before either goes on to change it. */
async function overlap(world, browser, ...changes) {
  const barrier = Promise.withResolvers()
  const visits = []
  let reading = changes.length
  for (const change of changes) {
    const page = async (session) => {
      await session.get('user')
      if (--reading === 0) barrier.resolve()
      await barrier.promise
      await change(session)
    }
    visits.push(browser.visit(page))
    await world.start(SECRET)
  }
  await Promise.all(visits)
}

async function untouched(world) {
  return cost(await world.browser().visit(() => {}), world.peer)
}

async function anonymousRead(world) {
  return cost(await world.browser().visit((session) => session.get('user')), world.peer)
}

async function signedInRead(world) {
  const browser = await signedIn(world)
  return cost(await browser.visit((session) => session.get('user')), world.peer)
}

async function overlappingWrites(world) {
  const browser = await signedIn(world)
  await overlap(world, browser, write('x', 1), write('y', 1))
  const kept = [await browser.read('x'), await browser.read('y')].filter((value) => value === 1)
  return ['both lost', 'one lost', 'both kept'][kept.length]
}

async function overlappingCounts(world) {
  const browser = await signedIn(world)
  await browser.visit(write('n', 0))
  const add = (session) => session.add('n')
  await overlap(world, browser, add, add)
  return String(await browser.read('n'))
}

async function logoutDuringWrite(world) {
  const browser = await signedIn(world)
  const copy = browser.copy()
  const [begun, goOn] = [Promise.withResolvers(), Promise.withResolvers()]
  const slow = browser.visit(async (session) => {
    await session.get('user')
    begun.resolve()
    await goOn.promise
    await session.set('x', 1)
  })
  await begun.promise
  await world.start(SECRET)
  await browser.visit((session) => session.logout())
  goOn.resolve()
  await slow
  await world.start(SECRET)
  return `browser ${await state(browser)}, old cookie ${await state(copy)}`
}

async function replayAfterLogout(world) {
  const browser = await signedIn(world)
  const copy = browser.copy()
  await browser.visit((session) => session.logout())
  await world.start(SECRET)
  return state(copy)
}

/** Of two browsers of one user; a library either has a call for that or has none. */
async function everywhere(world) {
  const [browser, other] = [await signedIn(world), await signedIn(world)]
  let isCall = true
  const { status } = await browser.visit(async (session) => {
    isCall = session.everywhere !== undefined
    await session.everywhere?.()
  })
  await world.start(SECRET)
  if (!isCall) return 'no such call'
  return status === 200 ? await state(other) : 'refused'
}

const readWhileDown = (what) => async (world) => {
  const browser = await signedIn(world)
  const before = [...browser.cookies].join()
  world.store.down = what
  let user
  const { status } = await browser.visit(async (session) => {
    user = await session.get('user')
  })
  world.store.down = false
  const page = status === 200 ? `${status} as ${user === 'ada' ? SIGNED_IN : 'anonymous'}` : status
  const same = [...browser.cookies].join() === before
  const cookie = browser.cookies.size === 0 ? 'cleared' : same ? 'kept' : 'replaced'
  return `${page}; cookie ${cookie}; then ${await state(browser)}`
}

async function failedWrite(world) {
  const browser = await signedIn(world)
  unhandled.length = 0
  const { status, complete } = await browser.visit(async (session) => {
    await session.get('user')
    world.store.down = 'writes'
    await session.set('x', 1)
  })
  world.store.down = false
  const kept = (await browser.read('x')) === 1 ? 'write kept' : 'write lost'
  const parts = [complete ? status : `${status}, cut short`, kept, await state(browser)]
  if (unhandled.length) parts.push('unhandledRejection')
  return parts.join('; ')
}

/** Whether two visitors who come with the same cookies end up in one session. */
async function shared(world, cookies) {
  const visitor = world.browser(cookies)
  await visitor.visit(write('x', 1))
  return (await world.browser(cookies).read('x')) === 1
}

async function chosenId(world) {
  const [name] = (await signedIn(world)).cookies.keys()
  return (await shared(world, [[name, 'chosen-by-the-client']])) ? 'used' : 'refused'
}

async function endedId(world) {
  const browser = await signedIn(world)
  const { cookies } = browser.copy()
  await browser.visit((session) => session.logout())
  return (await shared(world, cookies)) ? 'used again' : 'not used again'
}

async function earlierId(world) {
  const browser = world.browser()
  await browser.visit(write('x', 1))
  const earlier = browser.copy()
  await browser.visit(signIn)
  if ((await state(earlier)) === SIGNED_IN) return SIGNED_IN
  return (await earlier.read('x')) === 1 ? 'still anonymous' : 'opens nothing'
}

async function publicResponse(world) {
  const { headers, received } = await world.browser().visit(async (session) => {
    await signIn(session)
    session.headers['cache-control'] = 'public, max-age=600'
  })
  const vary = /\bcookie\b/i.test(headers.get('vary') ?? '') ? '`Vary: Cookie`' : 'no `Vary`'
  return `${plural(received.length, 'cookie')}, \`${headers.get('cache-control')}\`, ${vary}`
}

async function tooLarge(world) {
  const browser = await signedIn(world)
  const big = randomBytes(4500).toString('base64url')
  const { status, received } = await browser.visit(write('big', big))
  const cookies = world.peer.kind === 'cookie' ? ` in ${plural(received.length, 'cookie')}` : ''
  const fate = (await browser.read('big')) === big ? `kept${cookies}` : 'lost'
  return `${status}; ${fate}; ${await state(browser)}`
}

async function rotation(world) {
  const browser = await signedIn(world)
  await world.start('the-next-secret-0123456789-abcdefghijklmnop-ABCDEFGH', SECRET)
  return state(browser)
}

const VALUES = { Date: new Date(0), NaN, Map: new Map([['a', 1]]), '[undefined]': [undefined] }

async function lossyValues(world) {
  const found = new Map()
  for (const [name, value] of Object.entries(VALUES)) {
    const browser = await signedIn(world)
    const { status } = await browser.visit(write('value', value))
    const same = isDeepStrictEqual(await browser.read('value'), value)
    const verdict = status !== 200 ? 'refused' : same ? 'kept' : 'changed'
    found.set(verdict, [...(found.get(verdict) ?? []), name])
  }
  if (found.size === 1) return `all ${[...found.keys()]}`
  return [...found].map(([verdict, names]) => `${verdict}: ${names.join(', ')}`).join('; ')
}

/** `only: 'store'` is for what sessions that live in a cookie do not have. */
export const cases = {
  untouched: { title: 'anonymous, session not touched', run: untouched },
  anonymousRead: { title: 'anonymous, session read', run: anonymousRead },
  signedInRead: { title: 'signed in, session read', run: signedInRead },
  overlappingWrites: { title: 'two overlapping writes', run: overlappingWrites },
  overlappingCounts: { title: 'two overlapping increments of 0', run: overlappingCounts },
  logoutDuringWrite: { title: 'sign-out during a slow write', run: logoutDuringWrite },
  replayAfterLogout: { title: 'old cookie after sign-out', run: replayAfterLogout },
  storeDown: { title: 'store down', run: readWhileDown('all'), only: 'store' },
  failedRead: { title: 'only the read fails', run: readWhileDown('reads'), only: 'store' },
  failedWrite: { title: 'only the write fails', run: failedWrite, only: 'store' },
  chosenId: { title: 'id chosen by the client', run: chosenId, only: 'store' },
  endedId: { title: 'id of an ended session', run: endedId, only: 'store' },
  earlierId: { title: 'id from before signing in', run: earlierId, only: 'store' },
  publicResponse: { title: '`Cache-Control: public` with a new session', run: publicResponse },
  tooLarge: { title: '6,000 characters in the session', run: tooLarge },
  rotation: { title: 'old cookie under a new secret', run: rotation },
  lossyValues: { title: 'values that JSON loses', run: lossyValues },
  everywhere: { title: 'sign-out everywhere, the other browser', run: everywhere },
}
