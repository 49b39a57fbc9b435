/**
 * Takes over the sessions of other libraries, so that a switch signs nobody out.
 *
 * On the first visit after it the old cookie is read, checked, turned into a session and removed.
 *
 * @module
 * @example
 * import { fromIronSession } from 'sojourn/migrate'
 */

export { type CookieSessionOptions, fromCookieSession } from './cookie-session.ts'
export { type ExpressSessionOptions, fromExpressSession } from './express-session.ts'
export { fromH3, type H3Options } from './h3.ts'
export { fromHonoSession, type HonoSessionOptions } from './hono-session.ts'
export type {
  ConvertedSession,
  CookieImporter,
  ImportedSession,
  ImporterOptions,
  OldData,
  RawCookies,
} from './importer.ts'
export { fromIronSession, type IronSessionOptions } from './iron-session.ts'
export { fromReactRouter, type ReactRouterSessionOptions } from './react-router.ts'
