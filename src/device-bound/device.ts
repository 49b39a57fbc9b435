/**
 * Device Bound Session Credentials: what `deviceBound` loads.
 *
 * ```
 * login    ── response: Secure-Session-Registration with a challenge ──────────────> browser makes a key
 * register <─ POST: a proof with the key ── claims.d, by compare-and-set; answer: instructions, bound cookie
 * requests <─ both cookies; the bound one is opened once by each isolate
 * refresh  <─ POST, when the bound cookie is over: without a proof 403 and a challenge; with one a new bound cookie
 * ```
 */
export { answerDevice } from './answer.ts'
export { guardDevice } from './guard.ts'
