/** Builds dist/ from src/ with tsc alone: the library without the types of any runtime, the command line with those of Node. */
import { rmSync } from 'node:fs'
import { run } from './run.mjs'

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })
for (const project of ['tsconfig.build.json', 'tsconfig.cli.json']) {
  const { code, output } = await run('tsc', ['-p', project])
  process.stdout.write(output)
  process.exitCode ||= code
}
