import type { SessionInfo } from '../../session/session-list.ts'
import type { Command } from '../command.ts'
import { withSessions } from '../load.ts'
import { count, distance, plain, table } from '../words.ts'

export const list: Command = {
  name: 'list',
  summary: "Lists a user's live sessions, the one used last first",
  argument: 'subject',
  options: ['config', 'store'],
  details:
    'Shows what is needed to end one: its id, its times, the label of its sign-in, the factors that were proven since and when, and who acts for the user. An id opens nothing. <subject> is what the application gave to session.login(); "-" reads it from standard input',
  examples: [
    ['npx sojourn list user-1 --config sojourn.config.js', 'As the application is configured'],
    ['SESSION_STORE=redis://localhost npx sojourn list user-1', 'By the environment alone'],
    ['npx sojourn list user-1 --json | jq -r ".sessions[].id"', 'The ids'],
  ],
  run: ({ argument, values }) =>
    withSessions(values, {}, async ({ instance, sessions }) => {
      const found = await sessions.list(argument)
      const all = found.sort((a, b) => b.lastSeenAt - a.lastSeenAt)
      const infos = all.map(({ subject: _, ...info }) => info)
      return {
        text: infos.length ? textOf(infos, instance.options.now()) : 'This user has no session.\n',
        json: { sessions: infos },
      }
    }),
}

function textOf(infos: readonly Omit<SessionInfo, 'subject'>[], now: number): string {
  const rows = infos.map((info) => [
    info.id,
    distance(info.authenticatedAt ?? info.createdAt, now),
    distance(info.lastSeenAt, now),
    distance(info.expiresAt, now),
    plain(info.label ?? ''),
    Object.entries(info.factors)
      .map(([name, at]) => `${plain(name)} ${distance(at, now)}`)
      .join(', '),
    plain(info.actor ?? ''),
  ])
  const head = ['id', 'signed in', 'last seen', 'ends', 'label', 'factors', 'actor']
  // Few sessions have the last two.
  const isUsed = head.map((_, i) => i < 5 || rows.some((row) => row[i]))
  const lines = [head, ...rows].map((row) => row.filter((_, i) => isUsed[i]))
  return `${table(lines)}${count(infos.length, 'session')}.\n`
}
