/** Puts faults into the source as it is loaded. Has to run before anything of `src/` is. */
import { registerHooks } from 'node:module'
import type { SourceChange } from './plants.ts'

const SOURCE: string = new URL('../../src/', import.meta.url).href

/** Throws, when the file is loaded, where the text is not there exactly once. */
export function plantSource(changes: readonly SourceChange[]): void {
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context)
      let source = String(loaded.source)
      for (const { file, from, to } of changes) {
        if (url !== SOURCE + file) continue
        const found = source.split(from).length - 1
        if (found !== 1) throw new Error(`A planted fault fits ${found} places of ${file}: ${from}`)
        source = source.replace(from, () => to)
      }
      return url.startsWith(SOURCE) ? { ...loaded, source } : loaded
    },
  })
}
