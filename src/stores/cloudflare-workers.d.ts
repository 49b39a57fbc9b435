/** Types for tsc; all of `@cloudflare/workers-types` would clash with the DOM's. */
declare module 'cloudflare:workers' {
  export const DurableObject: typeof import('./durable-object-base.d.ts').DurableObject
}
