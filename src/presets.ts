/**
 * Options for `createSessions` by purpose, and from environment variables.
 *
 * @module
 * @example
 * import { fromEnv, production } from 'sojourn/presets'
 *
 * const sessions = createSessions(fromEnv(process.env, production()))
 */
import type { SessionPreset, SessionPresetWithSecret } from './from-env.ts'
import type { SessionsOptions } from './options.ts'
import { generateSecret } from './secret.ts'

export {
  fromEnv,
  policyFromEnv,
  type SessionPreset,
  type SessionPresetWithSecret,
} from './from-env.ts'

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/**
 * Options for one's own machine: a cookie that every browser takes over plain http, sessions that outlast a
 * weekend, and a store that fails is seen at once.
 */
export function development(): SessionPreset {
  return {
    cookie: { name: 'session', secure: false },
    idleTimeout: 7 * DAY,
    absoluteTimeout: 30 * DAY,
    onStoreFailure: 'throw',
  }
}

/**
 * The defaults of `createSessions`, spelled out: a day of idleness, a week in all, and a store that
 * fails signs nobody out.
 */
export function production(): SessionPreset {
  return {
    cookie: { name: '__Host-session', httpOnly: true, secure: true, sameSite: 'lax', path: '/' },
    idleTimeout: DAY,
    absoluteTimeout: 7 * DAY,
    onStoreFailure: 'degrade',
    onCorruption: 'reset',
  }
}

/**
 * Options for sessions that are worth stealing: the timeouts that
 * {@link https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html OWASP}
 * gives for high-value applications (5 minutes of idleness, 4 hours in all), a cookie that no other
 * site can have sent along and no script can have set, sessions tied to the browser, and no request
 * served when the store or what it holds is in doubt. No opened cookie stays in memory.
 *
 * Following a link from another site then arrives without the session. Take a store too: only with
 * one does signing out end every copy of the cookie.
 */
export function highSecurity(): SessionPreset {
  return {
    cookie: {
      name: '__Host-Http-session',
      httpOnly: true,
      secure: true,
      sameSite: 'strict',
      path: '/',
    },
    idleTimeout: 5 * MINUTE,
    absoluteTimeout: 4 * HOUR,
    renewAfter: 30,
    binding: { userAgent: true },
    onStoreFailure: 'throw',
    onCorruption: 'throw',
    cache: false,
  }
}

/** Options for tests: a random secret, a cookie for plain http, and failures that throw. */
export function testing(): SessionPresetWithSecret {
  return {
    secret: [generateSecret()],
    cookie: { name: 'session', secure: false },
    onStoreFailure: 'throw',
    onCorruption: 'throw',
  }
}

/** The timeouts of an assurance level; everything else is as `createSessions` has it by default. */
export type AssuranceTimeouts = Required<Pick<SessionsOptions, 'absoluteTimeout' | 'idleTimeout'>>

/**
 * Timeouts of assurance level 1: users sign in again at least every 30 days, however long they were idle.
 * {@link https://pages.nist.gov/800-63-4/sp800-63b.html NIST SP 800-63B-4}, 2.1.3: an overall timeout of no more than 30
 * days (should), no inactivity timeout required.
 */
export function aal1(): AssuranceTimeouts {
  return { idleTimeout: 30 * DAY, absoluteTimeout: 30 * DAY }
}

/**
 * Timeouts of assurance level 2: 24 hours in all, an hour of idleness.
 * {@link https://pages.nist.gov/800-63-4/sp800-63b.html NIST SP 800-63B-4}, 2.2.3 (should, both of them).
 */
export function aal2(): AssuranceTimeouts {
  return { idleTimeout: HOUR, absoluteTimeout: DAY }
}

/**
 * Timeouts of assurance level 3: 12 hours in all (shall), 15 minutes of idleness (should).
 * {@link https://pages.nist.gov/800-63-4/sp800-63b.html NIST SP 800-63B-4}, 2.3.3.
 */
export function aal3(): AssuranceTimeouts {
  return { idleTimeout: 15 * MINUTE, absoluteTimeout: 12 * HOUR }
}
