import { describe, expect, it } from 'vitest'
import { watchSession } from '../../src/client/client.ts'
import { errorOf } from '../support/sessions.ts'
import { createBrowser, nobody, settle, signedIn } from './browser.ts'

/** A browser with a tab of Ann, who has been asked about once. */
async function createTab(secondsLeft = 1000, options = {}) {
  const browser = createBrowser()
  browser.server.status = signedIn('ann', secondsLeft)
  const tab = browser.open('a', options)
  await settle()
  expect(browser.take()[0]).toBe('a GET')
  return { ...browser, tab }
}

describe('watchSession()', () => {
  it('asks at once, and once an interval while the page is visible', async () => {
    const { advance, server, take } = await createTab()
    await advance(59)
    expect(take()).toEqual([])
    await advance(61)
    expect(take()).toEqual(['a GET', 'a GET'])
    server.status = signedIn('ann', 86_400)
    await advance(600)
    expect(take()).toHaveLength(10)
  })

  it('reloads once nobody is signed in any more, or somebody else is', async () => {
    for (const status of [nobody, signedIn('bob')]) {
      const { advance, server, take } = await createTab()
      server.status = status
      await advance(60)
      expect(take()).toEqual(['a GET', 'a reload'])
      await advance(60)
      expect(take()).toEqual(['a GET'])
    }
  })

  it('reloads once somebody is signed in where nobody was', async () => {
    const browser = createBrowser()
    browser.open('a')
    await settle()
    await browser.advance(60)
    expect(browser.take()).toEqual(['a GET', 'a GET'])
    browser.server.status = signedIn('ann')
    await browser.advance(60)
    expect(browser.take()).toEqual(['a GET', 'a reload'])
  })

  it('calls onChange in place of a reload, with what is and what was', async () => {
    const changes: unknown[] = []
    const onChange = (...change: unknown[]): void => void changes.push(change)
    const { advance, server, take } = await createTab(1000, { onChange })
    server.status = nobody
    await advance(60)
    expect(take()).toEqual(['a GET'])
    expect(changes).toEqual([
      [expect.objectContaining(nobody), expect.objectContaining(signedIn('ann'))],
    ])
  })

  it('takes a mark that shares a part with the former one for the same user', async () => {
    const { advance, server, take } = await createTab()
    for (const who of ['new.ann', 'new', 'newer.new']) {
      server.status = signedIn(who)
      await advance(60)
      expect(take()).toEqual(['a GET'])
    }
    server.status = signedIn('ann')
    await advance(60)
    expect(take()).toEqual(['a GET', 'a reload'])
  })

  it('a question that fails signs nobody out, however long nobody answers', async () => {
    const { advance, server, take } = await createTab(100, { warnBefore: 0 })
    server.status = null
    await advance(600)
    expect(take()).toEqual(Array(10).fill('a GET'))
    server.status = signedIn('ann')
    await advance(60)
    expect(take()).toEqual(['a GET'])
  })

  it('a question that hangs is given up after ten seconds', async () => {
    const { advance, questions, server, take } = await createTab()
    server.status = undefined
    await advance(69)
    expect(questions.at(-1)?.signal.aborted).toBe(false)
    await advance(1)
    expect(questions.at(-1)?.signal.aborted).toBe(true)
    server.status = nobody
    await advance(60)
    expect(take()).toEqual(['a GET', 'a GET', 'a reload'])
  })

  it('check() asks at once and returns the answer, or null where nobody knows', async () => {
    const { server, tab } = await createTab()
    server.status = signedIn('ann', 7)
    expect(await tab.watch.check()).toEqual(signedIn('ann', 7))
    server.status = null
    expect(await tab.watch.check()).toBe(null)
  })
})

describe('the end of a session', () => {
  it('is announced once the server says that it is near, and once for each approach', async () => {
    const { advance, server, take } = await createTab(150)
    server.status = signedIn('ann', 120)
    await advance(30)
    expect(take()).toEqual(['a GET', 'a expires in 120'])
    server.status = signedIn('ann', 60)
    await advance(60)
    expect(take()).toEqual(['a GET'])
    server.status = signedIn('ann', 1000)
    await advance(60)
    expect(take()).toEqual(['a GET', 'a renewed: 1000'])
    server.status = signedIn('ann', 100)
    await advance(60)
    expect(take()).toEqual(['a GET', 'a expires in 100'])
  })

  it('is not announced when another request has renewed the session meanwhile', async () => {
    const { advance, server, take } = await createTab(150)
    server.status = signedIn('ann', 1000)
    await advance(30)
    expect(take()).toEqual(['a GET'])
  })

  it('is counted from the moment of the question', async () => {
    const { advance, questions, server, tab, take } = await createTab()
    server.status = undefined
    const checked = tab.watch.check()
    await advance(5)
    await questions.at(-1)?.answer(signedIn('ann', 100))
    await checked
    expect(take()).toEqual(['a GET', 'a expires in 95'])
  })

  it('needs nobody who is told of it', async () => {
    const { advance, server, take } = await createTab(150, {
      onExpiring: undefined,
      onRenewed: undefined,
    })
    for (const secondsLeft of [100, 1000]) {
      server.status = signedIn('ann', secondsLeft)
      await advance(60)
    }
    await advance(60)
    expect(take()).toEqual(['a GET', 'a GET', 'a GET'])
  })

  it('is asked about when it comes, and the server has the last word', async () => {
    const { advance, server, take } = await createTab(30)
    server.status = nobody
    await advance(29)
    expect(take()).toEqual([])
    await advance(1)
    expect(take()).toEqual(['a GET', 'a reload'])
  })
})

describe('activity', () => {
  it('has the next question renew the session, and idleness does not', async () => {
    const { advance, tab, take } = await createTab()
    await tab.act()
    await tab.act()
    expect(take()).toEqual([])
    await advance(120)
    expect(take()).toEqual(['a POST', 'a GET'])
  })

  it('renews at once while the end is near, and not at every key when that does not help', async () => {
    const { advance, server, tab, take } = await createTab(100)
    await advance(11)
    await tab.act()
    for (let i = 0; i < 50; i++) await tab.act()
    expect(take()).toEqual(['a POST'])
    server.status = signedIn('ann', 1000)
    await advance(11)
    await tab.act()
    expect(take()).toEqual(['a POST', 'a renewed: 1000'])
  })

  it('is tried again after a question that failed', async () => {
    const { advance, server, tab, take } = await createTab()
    await tab.act()
    server.status = null
    await advance(60)
    server.status = signedIn('ann')
    await advance(120)
    expect(take()).toEqual(['a POST', 'a POST', 'a GET'])
  })

  it('renews nothing with keepAlive: false', async () => {
    const { advance, tab, take } = await createTab(100, { keepAlive: false })
    await advance(11)
    await tab.act()
    expect(take()).toEqual([])
    await advance(60)
    expect(take()).toEqual(['a GET'])
  })
})

describe('a hidden page', () => {
  it('asks nothing and has no timer, and asks as soon as it is seen', async () => {
    const { advance, server, tab, take, timers } = await createTab()
    await advance(5)
    await tab.show(false)
    expect(timers.size).toBe(0)
    await advance(100_000)
    expect(take()).toEqual([])
    server.status = nobody
    await tab.show(true)
    expect(take()).toEqual(['a GET', 'a reload'])
  })

  it('that was opened in the background asks once, so that it knows whom it is for', async () => {
    const browser = createBrowser()
    browser.server.status = signedIn('ann')
    browser.open('a', {}, false)
    await browser.advance(1000)
    expect(browser.take()).toEqual(['a GET'])
    expect(browser.timers.size).toBe(0)
  })

  it('does not ask twice when several events say that it is seen', async () => {
    const { advance, tab, take } = await createTab()
    await tab.show(false)
    await advance(100)
    await Promise.all([tab.show(true), tab.show(true)])
    tab.wake()
    await settle()
    expect(take()).toEqual(['a GET'])
    await advance(60)
    expect(take()).toEqual(['a GET'])
  })

  it('announces the end of the session only once it is seen', async () => {
    const { advance, server, tab, take } = await createTab(300)
    await tab.show(false)
    await advance(250)
    server.status = signedIn('ann', 50)
    expect(take()).toEqual([])
    await tab.show(true)
    expect(take()).toEqual(['a GET', 'a expires in 50'])
  })
})

describe('other tabs', () => {
  async function createTabs() {
    const browser = createBrowser()
    browser.server.status = signedIn('ann')
    const [a, b] = [browser.open('a'), browser.open('b')]
    await settle()
    browser.take()
    return { ...browser, a, b }
  }

  it('hear of a sign-out without a question of their own, hidden or not', async () => {
    for (const isVisible of [true, false]) {
      const { a, advance, b, server, take } = await createTabs()
      await b.show(isVisible)
      server.status = nobody
      await advance(1)
      await a.watch.check()
      expect(take().sort()).toEqual(['a GET', 'a reload', 'b reload'])
    }
  })

  it('that are hidden hear that the end is near, and announce it once they are seen', async () => {
    const { a, advance, b, server, take } = await createTabs()
    await b.show(false)
    await advance(1)
    server.status = signedIn('ann', 100)
    await a.watch.check()
    expect(take()).toEqual(['a GET', 'a expires in 100'])
    await b.show(true)
    expect(take()).toEqual([])
    await advance(1)
    expect(take()).toContain('b expires in 100')
  })

  it('hear that the session was renewed, and ask later', async () => {
    const { a, advance, server, take } = await createTabs()
    await advance(30)
    await a.watch.check()
    take()
    await advance(59)
    expect(take()).toEqual([])
    server.status = signedIn('ann', 1000)
    await advance(1)
    expect(take()[0]).toMatch(/GET/)
  })

  it('ignore an answer that was asked for before their own', async () => {
    const { a, advance, b, questions, server, take } = await createTabs()
    server.status = undefined
    const slow = a.watch.check()
    await advance(1)
    server.status = signedIn('bob')
    await b.watch.check()
    // Both know of Bob; the late answer is about Ann.
    expect(
      take()
        .filter((one) => one.includes('reload'))
        .sort(),
    ).toEqual(['a reload', 'b reload'])
    await questions.find(({ tab }, i) => tab === 'a' && i > 1)?.answer(signedIn('ann'))
    await slow
    expect(take()).toEqual([])
  })

  it('take their own answer after one of another tab that was asked for earlier', async () => {
    const { a, advance, b, questions, server, take } = await createTabs()
    server.status = undefined
    await advance(1)
    const early = b.watch.check()
    await advance(1)
    const later = a.watch.check()
    const [ofB, ofA] = questions.slice(-2)
    await ofB?.answer(signedIn('ann'))
    await ofA?.answer(nobody)
    await Promise.all([early, later])
    expect(
      take()
        .filter((one) => one.includes('reload'))
        .sort(),
    ).toEqual(['a reload', 'b reload'])
  })

  it('that are still waiting for their first answer take what they heard after it', async () => {
    const { a, advance, questions, server, open, take } = await createTabs()
    server.status = undefined
    open('c')
    await advance(1)
    server.status = nobody
    await a.watch.check()
    expect(take()).toContain('a reload')
    await questions.find(({ tab }) => tab === 'c')?.answer(signedIn('ann'))
    expect(take()).toEqual(['c reload'])
  })
})

describe('stop()', () => {
  it('ends timers, the question under way, the channel, and every call after it', async () => {
    const { advance, questions, server, tab, tabs, take, timers } = await createTab()
    server.status = undefined
    const checked = tab.watch.check()
    const { stop } = tab.watch
    stop()
    expect(questions.at(-1)?.signal.aborted).toBe(true)
    expect(await checked).toBe(null)
    expect([timers.size, tabs.size]).toEqual([0, 0])
    take()
    server.status = nobody
    await tab.act()
    await advance(1000)
    expect(await tab.watch.check()).toBe(null)
    expect(take()).toEqual([])
  })

  it('in onChange leaves no timer behind', async () => {
    const browser = createBrowser()
    browser.server.status = signedIn('ann')
    const tab = browser.open('a', { onChange: () => tab.watch.stop() })
    await settle()
    browser.server.status = nobody
    await browser.advance(60)
    expect(browser.timers.size).toBe(0)
  })
})

function definePageSuite(): void {
  describe('watchSession() in a page', () => {
    /** What a browser has, of which other runtimes lack most. */
    async function inPage(
      answer: () => unknown,
      run: (page: Page) => Promise<void>,
    ): Promise<void> {
      const asked: [url: unknown, how: Record<string, unknown>][] = []
      const channels: Channel[] = []
      class Channel {
        onmessage: ((event: { data: unknown }) => void) | undefined
        readonly sent: unknown[] = []
        isOpen = true
        readonly name: string
        constructor(name: string) {
          this.name = name
          channels.push(this)
        }
        postMessage(data: unknown): void {
          this.sent.push(data)
        }
        close(): void {
          this.isOpen = false
        }
      }
      const page = new EventTarget()
      const document = Object.assign(new EventTarget(), { hidden: false })
      let reloads = 0
      const names = {
        document,
        location: { href: 'https://a.example/b/', reload: () => reloads++ },
        BroadcastChannel: Channel,
        addEventListener: page.addEventListener.bind(page),
        fetch: async (url: unknown, how: never) => {
          asked.push([url, how])
          return answer()
        },
      }
      const before = Object.keys(names).map(
        (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
      )
      for (const [name, value] of Object.entries(names)) {
        Object.defineProperty(globalThis, name, { value, configurable: true })
      }
      const watch = watchSession({ url: '../status' })
      try {
        await settle()
        await run({ asked, channel: channels[0]!, document, page, reloads: () => reloads, watch })
      } finally {
        watch.stop()
        for (const [name, was] of before) {
          if (was) Object.defineProperty(globalThis, name, was)
          else Reflect.deleteProperty(globalThis, name)
        }
      }
    }
    interface Page {
      asked: [url: unknown, how: Record<string, unknown>][]
      channel: { name: string; sent: unknown[]; isOpen: boolean; onmessage?: unknown }
      document: EventTarget & { hidden: boolean }
      page: EventTarget
      reloads: () => number
      watch: ReturnType<typeof watchSession>
    }

    it('asks its own origin past every cache, tells the tabs of the same address, and hears them', async () => {
      await inPage(
        () => Response.json(signedIn('ann')),
        async ({ asked, channel, reloads, watch }) => {
          expect(await watch.check()).toEqual(signedIn('ann'))
          const [url, how] = asked[0]!
          expect(url).toBe('https://a.example/status')
          expect(how).toMatchObject({
            method: 'GET',
            headers: { 'sojourn-status': '1' },
            cache: 'no-store',
            redirect: 'error',
            signal: expect.any(AbortSignal),
          })
          expect(channel.name).toBe('sojourn https://a.example/status')
          expect(channel.sent.at(-1)).toMatchObject(signedIn('ann'))
          const hear = channel.onmessage as (event: { data: unknown }) => void
          hear({ data: { ...nobody, at: Date.now() + 1000 } })
          expect(reloads()).toBe(1)
        },
      )
    })

    it.each([
      ['an error', () => Response.json(signedIn('ann'), { status: 503 })],
      ['a page to sign in on', () => new Response('<!doctype html>')],
      ['another JSON', () => Response.json({ ok: true })],
    ])('takes %s for no answer', async (_, answer) => {
      await inPage(answer, async ({ channel, watch }) => {
        expect(await watch.check()).toBe(null)
        expect(channel.sent).toEqual([])
      })
    })

    it('renews after whatever a visitor does, and stops hearing of it', async () => {
      for (const type of ['pointerdown', 'keydown', 'wheel']) {
        await inPage(
          () => Response.json(signedIn('ann')),
          async ({ asked, channel, page, watch }) => {
            page.dispatchEvent(new Event(type))
            await watch.check()
            expect(asked.map(([, { method }]) => method)).toEqual(['GET', 'POST'])
            watch.stop()
            expect(channel.isOpen).toBe(false)
          },
        )
      }
    })
  })
}

// Workers let nobody replace what stands in for a page.
if (navigator.userAgent !== 'Cloudflare-Workers') definePageSuite()

describe('a wrong option', () => {
  it.each([
    [undefined, 'url'],
    [{}, 'url'],
    [{ url: '' }, 'url'],
    [{ url: new URL('https://a.example/status') }, 'url'],
    [{ url: '/status', interval: 86_401 }, 'interval'],
    [{ url: '/status', interval: 0 }, 'interval'],
    [{ url: '/status', interval: Number.NaN }, 'interval'],
    [{ url: '/status', warnBefore: -1 }, 'warnBefore'],
    [{ url: '/status', warnBefore: 100_000 }, 'warnBefore'],
  ])('%o is refused by its name', async (options, name) => {
    expect((await errorOf(() => watchSession(options as never))).message).toContain(`"${name}"`)
  })

  it('none is: the shortest and the longest times, where the page is missing', async () => {
    for (const times of [
      { interval: 1, warnBefore: 0 },
      { interval: 86_400, warnBefore: 86_400 },
    ]) {
      const error = await errorOf(() => watchSession({ url: '/status', ...times }))
      expect(error.message).toMatch(/needs a page/)
    }
  })

  it('a place without a page is named', async () => {
    const error = await errorOf(() => watchSession({ url: '/status' }))
    expect([error instanceof TypeError, error.message]).toEqual([
      true,
      expect.stringMatching(/needs a page/),
    ])
  })
})
