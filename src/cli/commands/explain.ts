import process from 'node:process'
import { assertCookieName } from '../arguments.ts'
import { type Command, CommandError, type Values } from '../command.ts'
import { readInput } from '../explain/input.ts'
import { inspect } from '../explain/inspect.ts'
import { jsonOf, type Line, linesOf, parseShow } from '../explain/report.ts'
import { judge, type Verdict } from '../explain/verdict.ts'
import { withSessions } from '../load.ts'
import type { Terminal } from '../terminal.ts'
import { sentence } from '../words.ts'

export const explain: Command = {
  name: 'explain',
  summary: 'Says of a cookie on standard input which session it opens, or why none',
  options: ['config', 'store', 'cookie', 'show'],
  details:
    'Takes the value of a session cookie, a Cookie header, or a line that a browser or curl has copied; the file of a curl cookie jar is none of them. Tells its key, its age and timeouts, what the store says, and why it would be refused. It opens the cookie as the application does, and writes nothing; a snapshot, and the browser or device that it is bound to, are not looked at. Timeouts are those of the application with --config, or with SESSION_IDLE_TIMEOUT and SESSION_ABSOLUTE_TIMEOUT. It never shows data; subject and id only with --show. Exit code 0: the session is live',
  examples: [
    ['pbpaste | npx sojourn explain', 'What was copied in a browser'],
    [
      'npx sojourn explain --config sojourn.config.js < cookie.txt',
      'As the application is configured',
    ],
    ['npx sojourn explain --show id < cookie.txt', 'With the id, for npx sojourn revoke'],
  ],
  async run({ terminal, values }) {
    const shown = parseShow(values.show)
    assertCookieName(values)
    const text = await terminal.read('a session cookie, or a Cookie header')
    if (!text) {
      throw new CommandError(
        'Nothing came on standard input',
        'Give it a cookie: pbpaste | npx sojourn explain, or npx sojourn explain < cookie.txt',
      )
    }
    return withSessions(values, { brokenStore: true }, async ({ instance }) => {
      const isCookie = instance.options.transport === 'cookie'
      const name = values.cookie ?? instance.cookie.name
      const input = readInput(text, isCookie ? name : undefined)
      const inspection = await inspect(instance, input.header, isCookie ? values.cookie : undefined)
      const verdict = judge(instance, inspection, input.hint)
      const lines = linesOf(instance, inspection, verdict, shown, hasDefaults(values))
      return {
        ok: inspection.status === 'active',
        text: textOf(lines, verdict, terminal),
        json: { status: inspection.status, ...verdict, ...jsonOf(instance, inspection, shown) },
      }
    })
  },
}

/** Tells whether the timeouts are nobody's but the library's. */
function hasDefaults({ config }: Values): boolean {
  const { SESSION_ABSOLUTE_TIMEOUT, SESSION_IDLE_TIMEOUT } = process.env
  return config === undefined && !SESSION_IDLE_TIMEOUT && !SESSION_ABSOLUTE_TIMEOUT
}

const WIDTH = 11

function textOf(
  lines: readonly Line[],
  { advice, reason, text }: Verdict,
  { paint }: Terminal,
): string {
  const rows = lines.map(([topic, words]) => `${paint('dim', topic.padEnd(WIDTH))}${words}\n`)
  const mark = reason === 'active' ? paint('green', 'live') : paint('red', reason)
  return `${rows.join('')}\n${mark}: ${sentence(text)}\n${advice ? `${sentence(advice)}\n` : ''}`
}
