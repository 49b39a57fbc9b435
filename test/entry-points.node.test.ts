import { expect, it } from 'vitest'
import pkg from '../package.json' with { type: 'json' }

const JUNK: readonly unknown[] = [undefined, null, 42, '', 'x', [], {}, true]
/** Words of engines, which name no argument of ours. */
const ENGINE =
  /is not a function|Cannot (read|destructure|convert)|is not iterable|Invalid|in operator|called with new|class constructor/i
/** Needs workerd, or a server of Next. */
const ELSEWHERE = ['./durable-object', './next', './package.json']

const entries = Object.entries(pkg.exports as Record<string, { default: string } | string>)
  .filter(([name]) => !ELSEWHERE.includes(name))
  .map(([name, target]) => [name, typeof target === 'string' ? target : target.default] as const)

it.each(entries)(
  '%s: no function answers a wrong first argument with an error of the engine',
  async (_name, file) => {
    const exported = await import(file.replace('./dist/', '../src/').replace(/\.js$/, '.ts'))
    const bare: string[] = []
    for (const [name, fn] of Object.entries(exported)) {
      if (typeof fn !== 'function' || /^[A-Z]/.test(name)) continue
      for (const junk of JUNK) {
        try {
          await fn(junk)
        } catch (error) {
          const { message } = error as Error
          if (ENGINE.test(message)) bare.push(`${name}(${String(junk)}): ${message}`)
        }
      }
    }
    expect(bare).toEqual([])
  },
)
