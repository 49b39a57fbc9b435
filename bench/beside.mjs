// Two builds of this project in one process: what one request costs each, in microseconds of processor time (least, median), and the
// ratio of both in the same round.  usage: node beside.mjs <former dist> [<dist>] [--rounds=21] [--width=1] [--only=memory]
// Load them in either order: the one that is loaded first is up to 5 % faster.
import { resolve } from 'node:path'
import { median, min, req, SECRET, text } from './lib/common.mjs'
import { fmt, table } from './lib/measure.mjs'

const args = process.argv.slice(2)
const dirs = args.filter((one) => !one.startsWith('--'))
const options = Object.fromEntries(args.filter((one) => one.startsWith('--')).map((one) => one.slice(2).split('=')))
const { only = '', rounds = 21, width = 1 } = options
if (dirs.length === 1) dirs.push('../dist')
const WARM = 3000
const ROUND_US = 10_000

/** A request of the next of some browsers for each row. The browsers that write are many, so that a session is written as rarely as in life. */
async function rowsOf(dir) {
  const { createSessions } = await import(resolve(dir, 'index.js'))
  const { createMemoryStore } = await import(resolve(dir, 'stores/memory.js'))
  const variants = {
    cookie: {},
    'cookie never seen': { cache: false },
    memory: { store: createMemoryStore() },
  }
  const rows = {}
  for (const [variant, more] of Object.entries(variants)) {
    const sessions = createSessions({ secret: SECRET, cookie: { name: 'sid' }, ...more })
    const answer = (use) => sessions.handler(async (request) => text(String(use(await sessions.get(request)))))
    const begin = answer((session) => {
      for (const [key, value] of Object.entries({ userId: 'usr_abcdefghijkl', count: 41, role: 'admin' })) session.set(key, value)
    })
    const send = async (handler, browsers) => {
      const cookies = []
      for (let i = 0; i < browsers; i++) cookies.push((await begin(req('/'))).headers.getSetCookie()[0].split(';')[0])
      let i = 0
      return () => handler(req('/', cookies[i++ % browsers]))
    }
    let count = 0
    if (variant === 'cookie') rows['not used'] = await send(sessions.handler(async () => text('ok')), 200)
    rows[`${variant}, read`] = await send(answer((session) => session.get('count')), 200)
    rows[`${variant}, update`] = await send(answer((session) => session.update('count', (n) => n + 1)), 3000)
    rows[`${variant}, set`] = await send(answer((session) => session.set('count', ++count)), 3000)
  }
  return Object.entries(rows).filter(([row]) => row.includes(only))
}

async function spent(send, times) {
  const before = process.cpuUsage()
  let left = times
  const lane = async () => {
    while (left-- > 0) await send()
  }
  await Promise.all(Array.from({ length: Number(width) }, lane))
  const { system, user } = process.cpuUsage(before)
  return (system + user) / times
}

const builds = []
for (const dir of dirs) builds.push(await rowsOf(dir))
const tasks = builds[0].map(([row, send], i) => ({ row, sends: [send, builds[1][i][1]], us: [[], []] }))
for (const task of tasks) {
  for (const send of task.sends) task.times = Math.ceil(ROUND_US / (await spent(send, WARM)))
}
for (let round = 0; round < rounds; round++) {
  for (const { sends, times, us } of tasks) {
    const order = Math.random() < 0.5 ? [0, 1] : [1, 0]
    for (const i of order) us[i].push(await spent(sends[i], times))
  }
}
const result = tasks.map(({ row, us: [former, own] }) => ({
  row,
  former: `${fmt(min(former))}, ${fmt(median(former))}`,
  'this one': `${fmt(min(own))}, ${fmt(median(own))}`,
  'least, ratio': fmt(min(own) / min(former)),
  'same round, ratio': fmt(median(own.map((one, i) => one / former[i]))),
}))
console.log(table(result, Object.keys(result[0])))
process.exit(0)
