/** What happens in a run, as a list that can be shortened: every entry stands for itself. */

/** One thing that a handler does to the session. `key`: which value of those it could be. */
export type Use =
  | {
      readonly op: 'append' | 'increment' | 'update' | 'set' | 'unset' | 'flash' | 'once'
      readonly key: number
    }
  | { readonly op: 'login'; readonly user: number }
  | { readonly op: 'regenerate' | 'destroy' | 'bind' }

/** One request of a browser. Times in milliseconds. */
export interface RequestAction {
  readonly type: 'request'
  readonly id: number
  readonly at: number
  readonly jar: number
  readonly isolate: number
  readonly uses: readonly Use[]
  /** How long it travels, how long its handler works, how long the response travels. */
  readonly up: number
  readonly think: number
  readonly down: number
  /** The response never arrives. */
  readonly lost: boolean
}

/** What somebody does with keys, proofs and bound cookies. */
export interface DeviceAction {
  readonly type: 'device'
  readonly id: number
  readonly at: number
  /** Whose cookies it is done with. */
  readonly jar: number
  /**
   * - `refresh`: the browser refreshes, though its bound cookie is good.
   * - `replay`, `replay-registration`: sends the last such proof of the browser `of` again.
   * - `own-key`: registers a key of its own, with the last challenge that the browser `of` was given for it.
   * - `own-proof`: has the session of `of` challenged, and signs with a key of its own.
   * - `swap`: takes the bound cookie of `of`.
   */
  readonly what: 'refresh' | 'replay' | 'replay-registration' | 'own-key' | 'own-proof' | 'swap'
  readonly of: number
}

export type Action =
  | RequestAction
  /** The jar `thief` becomes a copy of `jar`. */
  | {
      readonly type: 'steal'
      readonly id: number
      readonly at: number
      readonly jar: number
      readonly thief: number
      /** The bound cookie stays where it is. */
      readonly isPartial?: boolean
    }
  | DeviceAction
  | {
      readonly type: 'revoke'
      readonly id: number
      readonly at: number
      readonly isolate: number
      readonly jar: number
    }
  | {
      readonly type: 'revokeAll'
      readonly id: number
      readonly at: number
      readonly isolate: number
      readonly user: number
      /** Spares the session of this jar. */
      readonly except: number | null
    }
  | {
      readonly type: 'list'
      readonly id: number
      readonly at: number
      readonly isolate: number
      readonly user: number
    }
  /** The isolate ends, with everything it was doing, and another one takes its place. */
  | {
      readonly type: 'restart'
      readonly id: number
      readonly at: number
      readonly isolate: number
      readonly newer: boolean
    }
  | {
      readonly type: 'trouble'
      readonly id: number
      readonly at: number
      readonly trouble: string
      readonly lasts: number
    }
  | { readonly type: 'failover'; readonly id: number; readonly at: number; readonly loses: number }
  /** The isolate's clock is wrong by so many milliseconds from now on. */
  | {
      readonly type: 'jump'
      readonly id: number
      readonly at: number
      readonly isolate: number
      readonly drift: number
    }

/** Says an action in a few words, for the trace. */
export function describeAction(action: Action): string {
  const { type, id, at: _, ...rest } = action
  if (action.type !== 'request') return `${type} ${JSON.stringify(rest).replace(/["{}]/g, '')}`
  const { jar, isolate, uses, think, lost } = action
  const what = uses.map(describeUse).join(', ') || 'read'
  return `request ${id} of browser ${jar} to isolate ${isolate}: ${what}${think ? `, works ${think} ms` : ''}${lost ? ', response lost' : ''}`
}

export function describeUse(use: Use): string {
  if ('user' in use) return `login user ${use.user}`
  return 'key' in use ? `${use.op} ${use.key}` : use.op
}
