/**
 * Sessions for every runtime that speaks `Request`, `Response` and WebCrypto.
 *
 * @module
 * @example
 * import { createSessions } from 'sojourn'
 */

export type { SessionCodec } from './codec/values.ts'
export * from './errors.ts'
export type { EndedBy, SessionEvent, SessionEventListener } from './events.ts'
export type { HealthOptions, HealthReport, StoreHealth } from './observe/health.ts'
export { type EventIdentity, identityOf } from './observe/identity.ts'
export type { Controls, SessionsOptions } from './options.ts'
export { generateSecret } from './secret.ts'
export type {
  DestroyOptions,
  FlashOf,
  FlashValueOf,
  Frozen,
  LoginOptions,
  OnceOptions,
  Session,
  SessionData,
  SessionFlash,
  SessionStatus,
  SiteData,
} from './session/session.ts'
export type {
  RevokeAllOptions,
  RevokeOptions,
  SessionInfo,
  SessionUser,
} from './session/session-list.ts'
export { createSessions, type Initial, type Sessions } from './session/sessions.ts'
export type { SignInStatus } from './session/status.ts'
export type { SchemaResult, StandardSchemaV1 } from './standard-schema.ts'
export type {
  EndAllOptions,
  EndOptions,
  ReadOptions,
  SessionIndex,
  SessionStore,
  StoreCallOptions,
  StoreDetails,
  StoredEntry,
  StoredPage,
  StoredRecord,
  StoreEvent,
  WriteOptions,
  WriteResult,
} from './stores/store.ts'
export type { CookieOptions } from './transport/cookie.ts'
