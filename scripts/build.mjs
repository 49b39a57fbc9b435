/** Builds dist/ from src/ with tsc alone. */
import { rmSync } from 'node:fs'
import { run } from './run.mjs'

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })
const { code, output } = await run('tsc', ['-p', 'tsconfig.build.json'])
process.stdout.write(output)
process.exitCode = code
