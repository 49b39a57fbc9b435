/** Writes the page of the command line: what `npx sojourn help` prints. */
import { run } from '../run.mjs'
import { HEAD } from './render.mjs'

async function help(...command) {
  const { code, stdout, output } = await run('node', ['src/cli/main.ts', 'help', ...command])
  if (code) throw new Error(output)
  return stdout.trimEnd()
}

const block = (text) => `\`\`\`text\n${text}\n\`\`\``

export async function commandLinePage() {
  const overview = await help()
  const names = [...overview.matchAll(/^ {2}([a-z-]+)(?: <\w+>)? {2,}/gm)].map(([, name]) => name)
  const pages = await Promise.all(names.map((name) => help(name)))
  return [
    '# The command line',
    'The commands of `npx sojourn`, with their options and examples, as its help prints them.',
    HEAD,
    'When to use which: [Operations](../operations.md#command-line).',
    block(overview),
    ...pages.map((text, i) => `## ${names[i]}\n\n${block(text)}`),
  ].join('\n\n')
}
