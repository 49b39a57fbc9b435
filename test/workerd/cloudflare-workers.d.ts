/** The little of it that tests use; all of `@cloudflare/workers-types` would clash with the DOM's. */
declare module 'cloudflare:workers' {
  export const env: Readonly<Record<string, unknown>>
}
