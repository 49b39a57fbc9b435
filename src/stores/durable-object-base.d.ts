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
      get<T>(key: string): T | undefined
      put<T>(key: string, value: T): void
      delete(key: string): boolean
      list<T>(options?: { prefix?: string }): Iterable<[string, T]>
    }
    deleteAll(): Promise<void>
    getAlarm(): Promise<number | null>
    setAlarm(at: number): Promise<void>
  }
}
