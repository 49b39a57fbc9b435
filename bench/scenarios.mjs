// The same scenarios for this project and its peers. Prints what happened; --write puts it into
// docs/comparison.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cases } from './scenarios/cases.mjs'
import { createWorld } from './scenarios/world.mjs'

const FILES = [
  'sojourn',
  'hono-session',
  'hono-sessions',
  'remix',
  'react-router',
  'express-session',
  'iron-session',
  'h3',
  'better-auth',
  'cookie-session',
  'secure-session',
]
const at = (path) => new URL(path, import.meta.url)
const read = (path) => readFileSync(at(path), 'utf8')

// Peers log what they refuse; here that is the point.
for (const method of ['error', 'warn']) console[method] = () => {}

/** Seconds. */
const GIVE_UP_AFTER = 110
setTimeout(() => {
  throw new Error(`No end after ${GIVE_UP_AFTER} seconds`)
}, GIVE_UP_AFTER * 1000).unref()

/** A harness that does not work would look like a library that does not. */
async function check(world) {
  const browser = world.browser()
  const { status } = await browser.visit((session) => session.login('ada'))
  await browser.visit((session) => session.set('x', 1))
  await browser.visit((session) => session.add('x'))
  const found = [status, await browser.read('user'), await browser.read('x')]
  await browser.visit((session) => session.logout())
  found.push(await browser.read('user'))
  const told = found.map((value) => value ?? 'none').join()
  if (told !== '200,ada,2,none') throw new Error(`${world.peer.name}, ${world.peer.kind}: ${told}`)
}

/** A fresh library and store for every scenario. */
async function measure(peer, { run, only = peer.kind }) {
  if (only !== peer.kind) return 'n/a'
  const world = await createWorld(peer)
  try {
    return await run(world)
  } finally {
    await world.stop()
  }
}

async function measureAll(peer) {
  await measure(peer, { run: check })
  const cells = {}
  for (const id of peer.scenarios ?? Object.keys(cases)) cells[id] = await measure(peer, cases[id])
  const { version } = JSON.parse(
    read(peer.package ? `node_modules/${peer.package}/package.json` : '../package.json'),
  )
  const { kind, variant = '', option } = peer
  return { name: `${peer.name} ${version}${variant}`, kind, option, cells }
}

const row = (cells) => `| ${cells.join(' | ')} |`
const numbered = (id) => `${Object.keys(cases).indexOf(id) + 1}. ${cases[id].title}`

function table(kind) {
  const columns = results.filter((result) => result.kind === kind && !result.option)
  const head = [`sessions in a ${kind}`, ...columns.map(({ name }) => name)]
  const ids = Object.keys(cases).filter((id) => columns.some(({ cells }) => cells[id] !== 'n/a'))
  const rows = ids.map((id) => row([numbered(id), ...columns.map(({ cells }) => cells[id])]))
  return [row(head), row(head.map(() => '---')), ...rows].join('\n')
}

function optionsTable() {
  const head = ['used otherwise', '', 'above', 'so']
  const rows = results
    .filter(({ option }) => option)
    .flatMap(({ name, kind, option, cells }) => {
      const plain = results.find((result) => result.name === name && result.kind === kind)
      return Object.keys(cells).map((id) =>
        row([`${name}: ${option}`, numbered(id), plain.cells[id], cells[id]]),
      )
    })
  return [row(head), row(head.map(() => '---')), ...rows].join('\n')
}

const modules = await Promise.all(FILES.map((file) => import(`./scenarios/peers/${file}.mjs`)))
const results = []
for (const peer of modules.flatMap(({ peers }) => peers)) results.push(await measureAll(peer))

const date = new Date().toISOString().slice(0, 10)
const text = [
  `Measured on ${date} with Node ${process.versions.node}.`,
  table('store'),
  table('cookie'),
  optionsTable(),
].join('\n\n')
console.log(text)

mkdirSync(at('results'), { recursive: true })
writeFileSync(
  at('results/scenarios.json'),
  JSON.stringify({ date, node: process.versions.node, results }, null, 1),
)
if (process.argv.includes('--write')) {
  const page = '../docs/comparison.md'
  const [, before, after] = read(page).match(
    /^([\s\S]*<!-- begin: .*-->\n)[\s\S]*(<!-- end -->[\s\S]*)$/,
  )
  writeFileSync(at(page), `${before}\n${text}\n\n${after}`)
}
