/** The rules of the options of `commit`, `login`, `destroy`, `revoke`, `revokeAll` and `revokeBy`. */
import {
  flagRule,
  isSubject,
  type Rule,
  SHORT_TEXT,
  SUBJECT_WORDS,
  TAGS,
  timeoutRule,
} from '../check.ts'
import type { SiteData } from './session.ts'

const SITE_DATA: readonly SiteData[] = ['cache', 'storage', 'cookies']

export const COMMIT_RULES: Record<string, Rule> = { save: flagRule(undefined) }

export const DESTROY_RULES: Record<string, Rule> = {
  reason: SHORT_TEXT,
  clear: [
    undefined,
    `a list of ${SITE_DATA.join(', ')}`,
    (all: unknown) => Array.isArray(all) && all.every((one) => SITE_DATA.includes(one)),
  ],
}

export const LOGIN_RULES: Record<string, Rule> = {
  persistent: flagRule(false),
  idleTimeout: timeoutRule(),
  absoluteTimeout: timeoutRule(),
  actor: [undefined, SUBJECT_WORDS, isSubject],
  label: SHORT_TEXT,
  tags: TAGS,
}

export const REVOKE_RULES: Record<string, Rule> = {
  reason: SHORT_TEXT,
  subject: [undefined, SUBJECT_WORDS, isSubject],
}

export const REVOKE_ALL_RULES: Record<string, Rule> = {
  reason: SHORT_TEXT,
  except: [undefined, 'the id of a session', (value: unknown) => typeof value === 'string'],
}
