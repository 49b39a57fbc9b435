/** Tabs of a browser that tests move: one clock, one channel, one server. */
import type { SignInStatus, WatchOptions } from '../../src/client/client.ts'
import { type Answer, type SessionWatch, Watch } from '../../src/client/watch.ts'
import { createClock } from '../../src/testing/index.ts'

export const nobody: SignInStatus = { signedIn: false, secondsLeft: null, who: null, factors: {} }
export const signedIn = (who: string, secondsLeft = 1000): SignInStatus => ({
  signedIn: true,
  secondsLeft,
  who,
  factors: {},
})

/** A question that is under way. */
interface Question {
  readonly tab: string
  readonly method: string
  readonly signal: AbortSignal
  answer(status: SignInStatus | null): Promise<void>
}

/** Lets everything run that waits for nothing but a promise. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

export function createBrowser() {
  const clock = createClock()
  const timers = new Map<object, { at: number; run: () => void }>()
  const tabs = new Map<string, { hear: (answer: Answer) => void }>()
  /** What the server answers at once; `null`: it cannot be reached; `undefined`: the test answers. */
  const server: { status: SignInStatus | null | undefined } = { status: nobody }
  const questions: Question[] = []
  const log: string[] = []

  /** Moves on, and runs the timers on the way in their order. */
  async function advance(seconds: number): Promise<void> {
    const end = clock() + 1000 * seconds
    for (;;) {
      const due = [...timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)
      const [first] = due
      if (!first) break
      const [timer, { at, run }] = first
      timers.delete(timer)
      clock.set(Math.max(at, clock()))
      run()
      await settle()
    }
    clock.set(end)
  }

  function open(tab: string, options: Partial<WatchOptions> = {}, isVisible = true) {
    const page = { isVisible, wake: () => {}, act: () => {} }
    const note = (what: string): void => void log.push(`${tab} ${what}`)
    const watch: SessionWatch = new Watch(
      {
        url: '/status',
        interval: 60,
        warnBefore: 120,
        keepAlive: true,
        onExpiring: (left) => note(`expires in ${left}`),
        onRenewed: (left) => note(`renewed: ${left}`),
        ...options,
      },
      {
        now: clock,
        ask: (method, signal) =>
          new Promise((resolve, reject) => {
            note(method)
            const answer = async (status: SignInStatus | null): Promise<void> => {
              if (status) resolve(status)
              else reject(new Error('offline'))
              await settle()
            }
            signal.addEventListener('abort', () => reject(signal.reason))
            questions.push({ tab, method, signal, answer })
            if (server.status !== undefined) void answer(server.status)
          }),
        isVisible: () => page.isVisible,
        setTimeout(run, ms) {
          const timer = {}
          timers.set(timer, { at: clock() + ms, run })
          return timer
        },
        clearTimeout: (timer) => void timers.delete(timer as object),
        reload: () => note('reload'),
        connect(wake, act, hear) {
          Object.assign(page, { wake, act })
          tabs.set(tab, { hear })
          const tell = (answer: Answer): void => {
            for (const [name, other] of tabs) if (name !== tab) other.hear(answer)
          }
          return [tell, () => void tabs.delete(tab)]
        },
      },
    )
    /** Hides or shows the tab. */
    const show = async (isVisible: boolean): Promise<void> => {
      page.isVisible = isVisible
      page.wake()
      await settle()
    }
    const act = async (): Promise<void> => {
      page.act()
      await settle()
    }
    return { watch, show, act, wake: () => page.wake() }
  }

  /** What happened since the last time. */
  const take = (): string[] => log.splice(0)
  return { advance, clock, open, questions, server, tabs, take, timers }
}
