/** Puts faults into the source as it is loaded. Has to run before anything of `src/` is. */
import { registerHooks } from 'node:module'
import type { SessionStore } from '../../src/stores/store.ts'

/** One fault put in on purpose. */
export interface Plant {
  readonly name: string
  /** The profile that has to find it, and the beginning of the rule that it violates. */
  readonly profile: string
  readonly rule: string
  /** A store with the fault. */
  readonly store?: (store: SessionStore) => SessionStore
  /** Two responses under way at once may get each other's cookies. */
  readonly swapsCookies?: true
  /** How many times longer sessions live than the model believes. */
  readonly timeoutFactor?: number
  /** Replacements in the source, which the command line puts in before anything is loaded. */
  readonly source?: readonly SourceChange[]
}

/** Replaces text in one file; that it is there, and once, is checked. */
export interface SourceChange {
  /** Below `src/`. */
  readonly file: string
  readonly from: string
  readonly to: string
}

const SOURCE: string = new URL('../../src/', import.meta.url).href

/** Ends the process, when the file is loaded, where the text is not there exactly once. */
export function plantSource(changes: readonly SourceChange[]): void {
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context)
      let source = String(loaded.source)
      for (const { file, from, to } of changes) {
        if (url !== SOURCE + file) continue
        const found = source.split(from).length - 1
        if (found !== 1) {
          // An error would only be a failed import to the code under test.
          process.stderr.write(`A planted fault fits ${found} places of ${file}: ${from}\n`)
          process.exit(1)
        }
        source = source.replace(from, () => to)
      }
      return url.startsWith(SOURCE) ? { ...loaded, source } : loaded
    },
  })
}
