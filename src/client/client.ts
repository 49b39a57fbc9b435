/**
 * Pages that notice: who is signed in, and for how long, in every tab. For the browser.
 *
 * @module
 * @example
 * import { watchSession } from 'sojourn/client'
 *
 * const watch = watchSession({
 *   url: '/session-status', // sessions.statusHandler()
 *   onExpiring: (seconds) => dialog.show(seconds),
 *   onRenewed: () => dialog.close(),
 * })
 */
import { type SessionWatch, Watch, type WatchOptions, type WatchWorld } from './watch.ts'

export type { SignInStatus } from '../session/status.ts'
export type { SessionWatch, WatchOptions } from './watch.ts'

/** A day: more is no interval, and NaN would ask without a pause. */
const MAX_SECONDS = 86_400

/**
 * Watches the session of a page: asks the status endpoint while the page is visible, when it comes into view
 * and when the session is about to end, and tells the other tabs what it learns. A question that fails, as while the browser
 * is offline or the store is down, signs nobody out. While the page is hidden it asks nothing, but hears other
 * tabs.
 *
 * @throws TypeError or RangeError naming the option that is wrong; TypeError where there is no page, as on the server.
 */
export function watchSession(options: WatchOptions): SessionWatch {
  const given = Object(options) as Partial<WatchOptions>
  const { url, interval = 60, warnBefore = 120, keepAlive = true } = given
  if (typeof url !== 'string' || !url) {
    throw new TypeError('Option "url" must be the address of sessions.statusHandler()')
  }
  if (!(interval >= 1 && interval <= MAX_SECONDS && warnBefore >= 0 && warnBefore <= MAX_SECONDS)) {
    throw new RangeError('Options "interval" and "warnBefore" must be seconds, at most 86400')
  }
  if (typeof document === 'undefined') {
    throw new TypeError('watchSession() needs a page: call it in the browser, as in an effect')
  }
  const own = { ...options, interval, warnBefore, keepAlive }
  return new Watch(own, createWorld(new URL(url, location.href).href))
}

function createWorld(url: string): WatchWorld {
  return {
    now: () => Date.now(),
    async ask(method, signal) {
      const headers = { 'sojourn-status': '1' }
      const how = { method, headers, signal, cache: 'no-store', redirect: 'error' } as const
      const response = await fetch(url, how)
      const status = response.ok && (await response.json())
      if (typeof status.signedIn !== 'boolean') throw new Error()
      return status
    },
    isVisible: () => !document.hidden,
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as number),
    reload: () => location.reload(),
    connect(wake, act, hear) {
      const channel = new BroadcastChannel(`sojourn ${url}`)
      channel.onmessage = ({ data }) => hear(data)
      const controller = new AbortController()
      const { signal } = controller
      document.addEventListener('visibilitychange', wake, { signal })
      for (const type of ['focus', 'pageshow', 'online']) addEventListener(type, wake, { signal })
      const how = { capture: true, passive: true, signal }
      for (const type of ['pointerdown', 'keydown', 'wheel']) addEventListener(type, act, how)
      return [
        (answer) => channel.postMessage(answer),
        () => {
          controller.abort()
          channel.close()
        },
      ]
    },
  }
}
