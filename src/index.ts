/**
 * Sessions for every runtime that speaks `Request`, `Response` and WebCrypto.
 *
 * @module
 * @example
 * import { createSessions } from 'sojourn'
 */
export type { CookieOptions } from './cookie.ts'
export * from './errors.ts'
export type { SessionEvent } from './events.ts'
export type { HealthReport, StoreHealth } from './health.ts'
export type { SchemaResult, SessionsOptions, StandardSchemaV1 } from './options.ts'
export { generateSecret } from './secret.ts'
export type { LoginOptions, OnceOptions, Session, SessionData, SessionStatus } from './session.ts'
export { createSessions, type Sessions } from './sessions.ts'
export type { SessionInfo } from './stored/subjects.ts'
export type {
  BuryOptions,
  ReadOptions,
  SessionStore,
  StoreCallOptions,
  StoreDetails,
  StoredEntry,
  StoredPage,
  StoredRecord,
  StoreEvent,
  SubjectIndex,
  WriteOptions,
  WriteResult,
} from './stores/store.ts'
export type { SessionCodec } from './values.ts'
