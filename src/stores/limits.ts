/**
 * The error of Workers when one request has made more calls than it may. The store is well, another
 * attempt is one call more, and other requests have calls of their own.
 */
export const OVER_LIMIT: RegExp = /Too many (API |sub)requests/
