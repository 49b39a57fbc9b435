#!/usr/bin/env node
/**
 * The command line: `npx sojourn`, `bunx sojourn`, `deno run -A npm:sojourn`. It loads nothing before it knows that the
 * runtime is new enough, so that an older one gets a sentence and no stack.
 */
import process from 'node:process'

const OLDEST_NODE = 22

const [major = '0'] = process.versions.node.split('.')
if (Number(major) < OLDEST_NODE) {
  process.stderr.write(
    `sojourn needs Node ${OLDEST_NODE} or newer, and this is Node ${process.versions.node}. Install a newer Node, or run it with Deno or Bun: bunx sojourn\n`,
  )
  process.exitCode = 1
} else {
  const { run } = await import('./run.ts')
  // Clients of stores may hold the process open, also after they were closed.
  process.exit(await run(process.argv.slice(2)))
}
