import process from 'node:process'
import { createCookieTokens } from '../../codec/cookie-tokens.ts'
import type { Instance } from '../../session/instance.ts'
import { type CookieJar, createCookieJar } from '../../testing/cookie-jar.ts'
import { assertCookieName } from '../arguments.ts'
import { type Command, CommandError, type Result, usageError, type Values } from '../command.ts'
import { examine } from '../doctor/examine.ts'
import type { Finding } from '../doctor/finding.ts'
import { nameOf, sendForm, type Visit, visit } from '../doctor/visit.ts'
import { withSessions } from '../load.ts'
import type { Style, Terminal } from '../terminal.ts'
import { count, sentence } from '../words.ts'

export const doctor: Command = {
  name: 'doctor',
  summary: 'Visits a page as a browser does, and says what is wrong with its session cookie',
  argument: 'url',
  options: ['config', 'cookie', 'form'],
  details:
    'Give it a page that starts a session, or with --form the page of a form or the address that it is sent to: its fields come on standard input, and it is sent twice. Hidden fields that the page has in that form, such as a CSRF token, are sent too; a token that only scripts of the page send is not. It makes three visits: one without cookies, one with those that came, and one without again. It checks attributes and prefix, Secure behind a proxy, whether the cookie comes back, whether all instances seal under one key, cached cookies, Vary, the size of headers, and the clock. With SESSION_SECRET, or --config, it also knows whether it is the same session that comes back. It asks no store',
  examples: [
    ['npx sojourn doctor https://example.com/cart', 'From outside, without a secret'],
    ['npx sojourn doctor https://example.com/cart --cookie sid', 'For a cookie of another name'],
    [
      'npx sojourn doctor https://example.com/sign-in --form < form.txt',
      'Where only signing in starts a session; form.txt: name=ada&password=...',
    ],
    [
      'npx sojourn doctor https://example.com/cart --json',
      'For a script; exit code 1: something is wrong',
    ],
  ],
  async run({ argument, terminal, values }) {
    const url = parseUrl(argument)
    const form = values.form ? await readForm(terminal) : undefined
    const hasSecret = values.config !== undefined || Boolean(process.env.SESSION_SECRET)
    return withSessions(values, { secret: false, store: false }, async ({ instance }) => {
      const jar = createCookieJar({ origin: url.origin })
      const begin = (own: CookieJar): Promise<Visit> =>
        form === undefined ? visit(url, own) : sendForm(url, own, form)
      const first = await begin(jar)
      // The page that the form leads to is one that reads the session.
      const second = await visit(form === undefined ? url : first.page.url, jar)
      const other = await begin(createCookieJar({ origin: url.origin }))
      const name = cookieName(values, instance)
      // Its label holds the name, which --cookie may change.
      const tokens = hasSecret
        ? createCookieTokens(instance.options, name, instance.formerUsed)
        : null
      const findings = await examine({ first, second, other, jar, name, tokens })
      return report(url, name, findings, terminal)
    })
  },
}

async function readForm(terminal: Terminal): Promise<string> {
  const text = await terminal.read('the fields of the form, such as name=ada&password=...')
  // Not a JSON object, nor a name that nothing follows.
  if (/^[^\s={]+=\S*$/.test(text)) return text
  throw usageError(
    'The form on standard input must be its fields, percent-encoded, on one line',
    'For example: name=ada&password=...',
  )
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw usageError('<url> must begin with https:// or http://', 'See: npx sojourn help doctor')
  }
  if (url.password || url.username) {
    throw usageError(
      'The URL has a password in it',
      'Arguments can be read by every process of the machine',
    )
  }
  return url
}

function cookieName(values: Values, { options, cookie: own }: Instance): string {
  assertCookieName(values)
  if (values.cookie !== undefined) return values.cookie
  if (options.transport === 'cookie') return own.name
  throw new CommandError(
    'These sessions travel in a header and not in cookies',
    'The doctor looks at cookies only. For a token: npx sojourn explain',
  )
}

const MARKS: Record<Finding['level'], readonly [Style, string]> = {
  fine: ['green', 'fine '],
  note: ['yellow', 'note '],
  wrong: ['red', 'WRONG'],
}

function report(url: URL, name: string, findings: readonly Finding[], { paint }: Terminal): Result {
  const lines = findings.flatMap(({ advice, level, text }) => [
    `${paint(...MARKS[level])}  ${sentence(text)}`,
    ...(advice ? [paint('dim', `       ${sentence(advice)}`)] : []),
  ])
  const faults = findings.filter(({ level }) => level === 'wrong').length
  const end = faults ? `${count(faults, 'thing')} to put right.` : 'Nothing is wrong.'
  return {
    ok: !faults,
    text: `${nameOf(url)}, cookie ${name}\n${lines.join('\n')}\n${end}\n`,
    json: { url: nameOf(url), cookie: name, findings },
  }
}
