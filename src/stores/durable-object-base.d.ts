/** The little of `cloudflare:workers` that is used, for whoever has no types of it. */
export abstract class DurableObject<Env = unknown> {
  protected readonly ctx: DurableObjectContext
  protected readonly env: Env
  constructor(ctx: DurableObjectContext, env: Env)
}

export interface DurableObjectContext {
  readonly id: unknown
  readonly storage: {
    readonly kv: {
      get(key: string): unknown
      put<T>(key: string, value: T): void
      delete(key: string): boolean
      list(options?: { prefix?: string }): Iterable<[string, unknown]>
    }
    deleteAll(): Promise<void>
    getAlarm(): Promise<number | null>
    setAlarm(at: number): Promise<void>
  }
}
