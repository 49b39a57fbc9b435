/** The timeouts that NIST SP 800-63B-4 gives for the authenticator assurance levels. */
import type { SessionsOptions } from './options.ts'

/** The timeouts of an assurance level; everything else is as `createSessions` has it by default. */
export type AssuranceTimeouts = Required<Pick<SessionsOptions, 'absoluteTimeout' | 'idleTimeout'>>

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

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
