/**
 * The scope in which Next runs a route handler, with its own modules: `cookies()`, `headers()` and all.
 * To be imported before anything of Next, which looks for AsyncLocalStorage as it loads.
 */
import { createRequire } from 'node:module'
import type { NextRequest } from 'next/server.js'

const require = createRequire(import.meta.url)
require('next/dist/server/node-environment-baseline.js')
// Where Next's own server takes them from; their types would bring those of its whole server.
const Next = require('next/server.js') as typeof import('next/server.js')
const { workAsyncStorage } = require('next/dist/server/app-render/work-async-storage.external.js')
const {
  workUnitAsyncStorage,
} = require('next/dist/server/app-render/work-unit-async-storage.external.js')
const { createRequestStoreForAPI } = require('next/dist/server/async-storage/request-store.js')
const {
  appendMutableCookies,
} = require('next/dist/server/web/spec-extension/adapters/request-cookies.js')

/** Answers as Next does: with the response, and the cookies that `cookies()` was told to set. */
export async function runInNext(
  request: Request,
  handle: (request: NextRequest) => Response | Promise<Response>,
): Promise<Response> {
  const own = new Next.NextRequest(request)
  const store = createRequestStoreForAPI(own, own.nextUrl, [], undefined, undefined, undefined)
  const work = { page: '/all/route', route: '/all', afterContext: { after: () => {} } }
  const response: Response = await workAsyncStorage.run(work, () =>
    workUnitAsyncStorage.run(store, handle, own),
  )
  const { body, headers, status } = response
  const copy = new Headers(headers)
  appendMutableCookies(copy, store.mutableCookies)
  return new Response(body, { status, headers: copy })
}
