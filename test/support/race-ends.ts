/** Races about the end of sessions, for every store that has an index. */
import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionsOptions } from '../../src/index.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { SECRET } from './sessions.ts'

const SIGN_INS = 20
const WRITERS = 8

/** Defines the races. `create` makes a store that is ready, or returns the one that all tests share. */
export function raceEnds(name: string, create: () => SessionStore | Promise<SessionStore>): void {
  const world = async (options: Partial<SessionsOptions> = {}) => {
    const sessions = createSessions({ secret: SECRET, store: await create(), ...options })
    const change = async (header: string | null, use: (session: Session) => void) => {
      const session = await sessions.open(header)
      use(session)
      const [setCookie] = await sessions.save(session)
      return setCookie?.split(';')[0] ?? header
    }
    return { sessions, change, user: crypto.randomUUID(), tag: `tenant:${crypto.randomUUID()}` }
  }

  describe(`${name}, in races`, () => {
    it(`maxSessions holds once ${SIGN_INS} sign-ins at once have answered`, async () => {
      for (const maxSessions of [1, 5]) {
        const { change, sessions, user } = await world({ maxSessions })
        const headers = await Promise.all(
          Array.from({ length: SIGN_INS }, () => change(null, (session) => session.login(user))),
        )
        const opened = await Promise.all(headers.map((header) => sessions.open(header)))
        expect(opened.filter(({ status }) => status === 'active')).toHaveLength(maxSessions)
        expect(await sessions.list(user)).toHaveLength(maxSessions)
        await sessions.revokeAll(user)
      }
    })

    it(`revokeBy leaves none alive against ${WRITERS} writers and rotations`, async () => {
      const { change, sessions, tag, user } = await world()
      const header = await change(null, (session) => session.login(user, { tags: [tag] }))
      const headers = new Set([header])
      let isRevoked = false
      const work = async (i: number): Promise<void> => {
        let own = header
        for (let n = 0; n < 4 && !isRevoked; n++) {
          own = await change(own, (session) => {
            if (session.status !== 'active') return
            if (i === 0) session.regenerate()
            else if (i === 1) session.tag(`n${n}`)
            else session.increment('n')
          })
          headers.add(own)
        }
      }
      const works = Array.from({ length: WRITERS }, (_, i) => work(i))
      await Promise.race(works)
      await sessions.revokeBy(tag)
      isRevoked = true
      await Promise.all(works)
      for (const one of headers) {
        expect((await sessions.open(one)).subject).toBe(null)
      }
      expect(await sessions.list(user)).toEqual([])
      expect(await sessions.listBy(tag)).toEqual([])
    })

    it('listBy and revokeBy find the sessions of a tag, and no other', async () => {
      const { change, sessions, tag, user } = await world()
      const headers: (string | null)[] = []
      for (const tags of [[tag], ['other', tag], [`${tag}0`], []]) {
        headers.push(await change(null, (session) => session.login(user, { tags })))
      }
      expect(
        (await sessions.listBy(tag)).map(({ tags }) => tags.length).sort((a, b) => a - b),
      ).toEqual([1, 2])
      expect(await sessions.revokeBy(tag)).toBe(2)
      const opened = await Promise.all(headers.map((header) => sessions.open(header)))
      expect(opened.map(({ status }) => status)).toEqual(['missing', 'missing', 'active', 'active'])
      expect(await sessions.revokeAll(user)).toBe(2)
    })
  })
}
