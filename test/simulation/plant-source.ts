/** Puts faults into the source as it is loaded. Has to run before anything of `src/` is. */
import { registerHooks } from 'node:module'
import type { SourceChange } from './plants.ts'

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
