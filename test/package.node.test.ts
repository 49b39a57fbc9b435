import { expect, it } from 'vitest'
import jsr from '../jsr.json' with { type: 'json' }
import pkg from '../package.json' with { type: 'json' }

it('npm and JSR publish the same version and the same entry points', () => {
  const { './package.json': _, ...entries } = pkg.exports
  const sources = Object.entries(entries).map(([name, { default: file }]) => [
    name,
    file.replace('./dist/', './src/').replace(/\.js$/, '.ts'),
  ])
  expect(jsr.version).toBe(pkg.version)
  expect(jsr.exports).toEqual(Object.fromEntries(sources))
})
