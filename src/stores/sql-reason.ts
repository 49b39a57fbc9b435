import type { StoreReason } from '../errors.ts'
import { type ReasonTable, reasonOf } from './errors.ts'

/** Codes of SQL databases by class: SQLSTATE (or how it begins), and names of MySQL. */
const SQL: ReasonTable = {
  timeout: /^(57014|55P03)/,
  auth: /^(28|42501)|DENIED/,
  full: /^53[12]|_FULL$|ER_OUT/,
  'read-only': /^25006|PREVENT|_ONLY/,
  rate: /^(533|08004)|COUNT|MANY/,
  quota: /^534|USER_LIMIT/,
  'too-large': /^(54|22001)|TOO_/,
  network: /^08|PROTOCOL/,
  loading: /^57P|SHUTDOWN/,
}

/** Returns the class of a database's code, or of its text where it has none. */
export function sqlReasonOf(said: string): StoreReason {
  const reason = reasonOf(said, SQL)
  return reason === 'unknown' ? reasonOf(said) : reason
}
