/** The little of it that tests use; all of `@cloudflare/workers-types` would clash with the DOM's. */
declare module 'cloudflare:workers' {
  export const env: Readonly<Record<string, unknown>>
}

declare module 'cloudflare:test' {
  export function runDurableObjectAlarm(stub: never): Promise<boolean>
  export function runInDurableObject<T>(
    stub: never,
    run: (instance: unknown, ctx: never) => T | Promise<T>,
  ): Promise<T>
}
