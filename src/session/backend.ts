/** The seam between a request's session and where it lives. */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import type { DataText } from '../codec/data.ts'
import type { CookieFound } from '../transport/cookie.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import type { Session, SessionData } from './session.ts'

/** The reasons for a commit. */
export interface CommitTask {
  /** Renewal due: the session is in use, and its last renewal is `renewAfter` seconds ago. */
  readonly renewalDue: boolean
  /** Data, flash or credential differ from what was opened. */
  readonly changed: boolean
  /** The data of the draft as text, where that was needed already. */
  readonly dataText?: DataText | undefined
}

/**
 * Opens, commits and ends sessions: in the cookie (`session/in-cookie`) or in a store
 * (`persistence/backend`). Neither knows the other, nor the code that chose it.
 */
export interface Backend {
  /**
   * Opens the session of a request.
   *
   * @param cookies The cookies of the request's header.
   * @param opened The session cookies among them that open, in the order of the header.
   * @returns `null` when nothing that came opens.
   * @throws Only what `onStoreFailure` and `onCorruption` ask for, and the caller's own abort.
   */
  open(
    cookies: CookieFound,
    opened: readonly OpenedCookie[],
    signal: AbortSignal | undefined,
  ): Draft | null | Promise<Draft | null>
  /** Saves a draft and returns the `Set-Cookie` values. */
  commit(draft: Draft, task: CommitTask): Promise<string[]>
  /**
   * Ends the session of a draft, and every other one that the request's cookies open. Returns the
   * `Set-Cookie` values beside those that remove the session cookie.
   */
  end(draft: Draft): Promise<string[]>
}

/** One opening: the header that was sent, and the request that it came with. */
export interface Visit {
  /** The `Cookie` header, or that of the transport. */
  readonly header: string | null
  readonly request: Request | undefined
  /** It was opened before, and is opened once more to be read: its flash values wait, and nobody is told. */
  readonly again: boolean
}

/** Opens the sessions of one instance. */
export interface Opener<D extends SessionData> {
  readonly instance: Instance
  /** Loads what deals with a store when it is first needed; sessions in cookies never load it. */
  backend(): Backend | Promise<Backend>
  /** @param again See {@link Visit.again}. */
  open(header: string | null, request?: Request, again?: boolean): Promise<Session<D, D>>
}
