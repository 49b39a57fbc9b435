// Holds this project against its targets, as ratios to raw WebCrypto in the same run. Node, 64 in flight, and workerd.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
const ONLY = '--only=raw-webcrypto,Sojourn,iron-session,@hono/session'
const run = (file, ...args) =>
  execFileSync('node_modules/.bin/node', [file, ONLY, ...args], { cwd: here, stdio: ['ignore', 'ignore', 'inherit'] })
const read = (name) => JSON.parse(readFileSync(`${here}results/${name}.json`, 'utf8'))

/** Seal and open together, against raw WebCrypto. */
function sealAndOpen(name, ops, width) {
  const sum = (name) => ops[`seal${width}`][name].med + ops[`unseal${width}`][name].med
  return sum(name) / sum('raw-webcrypto')
}

async function bundleSize(splitting) {
  const stdin = { contents: `export { createSessions } from '../dist/index.js'`, resolveDir: here }
  const options = { bundle: true, minify: true, format: 'esm', write: false, outdir: 'out', metafile: true }
  const { outputFiles, metafile } = await esbuild.build({ ...options, stdin, splitting })
  const loaded = new Set()
  const load = (path) => {
    if (loaded.has(path)) return
    loaded.add(path)
    for (const { path: next, kind } of metafile.outputs[path].imports) if (kind === 'import-statement') load(next)
  }
  load(Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint))
  const code = outputFiles.filter(({ path }) => [...loaded].some((name) => path.endsWith(name.split('/').pop())))
  return gzipSync(Buffer.concat(code.map(({ contents }) => contents)), { level: 9 }).length
}

run('seal.mjs', '--rounds=11', '--out=targets')
run('request.mjs', '--rounds=9')
run('workerd.mjs', '--rounds=7', '--out=targets.workerd', '--request')

const node = read('targets.node').payloads.small
const request = read('request.node.small').ops
const workerd = read('targets.workerd')
const med = (ops, name) => ops[name].med
/** With its cache of opened cookies, as everybody has it. */
const WARM = 'Sojourn (warm isolate)'

const rows = [
  ['seal + open a token, Node, 64 in flight', sealAndOpen('Sojourn token', node.ops, 64), 1.3],
  ['seal + open a token, workerd', sealAndOpen('Sojourn token', workerd.payloads.small.ops, 1), 1.3],
  ['seal + open a whole session, Node, 64 in flight', sealAndOpen('Sojourn', node.ops, 64), 1.3],
  ['seal + open a whole session, workerd', sealAndOpen('Sojourn', workerd.payloads.small.ops, 1), 1.3],
  ['read-modify-write as configured by default, Node, 64 in flight', med(request[64], `${WARM}|rmw`) / med(request[64], 'raw-webcrypto|rmw'), 1.6],
  ['read-modify-write as configured by default, workerd', med(workerd.request, `${WARM}|rmw`) / med(workerd.request, 'raw-webcrypto|rmw'), 1.6],
  ['read-modify-write of a cookie never seen before, Node, 64 in flight', med(request[64], 'Sojourn|rmw') / med(request[64], 'raw-webcrypto|rmw'), 1.6],
  ['read-modify-write of a cookie never seen before, workerd', med(workerd.request, 'Sojourn|rmw') / med(workerd.request, 'raw-webcrypto|rmw'), 1.6],
  ['untouched over bare, Node, microseconds', med(request[1], 'Sojourn|untouched') - med(request[1], 'Sojourn|bare'), 2],
  ['55-byte session, bytes of cookie', node.length.Sojourn, 160],
  ['cookie sessions, minified + gzip, bytes', await bundleSize(true), 6144],
  ['with the part for stores, bytes', await bundleSize(false), Number.POSITIVE_INFINITY],
]
const PEERS = ['iron-session', '@hono/session']
const peers = PEERS.flatMap((name) => [
  [`${name}: seal + open, Node, 64 in flight`, sealAndOpen(name, node.ops, 64)],
  [`${name}: seal + open, workerd`, sealAndOpen(name, workerd.payloads.small.ops, 1)],
])
for (const [what, value, limit = Number.POSITIVE_INFINITY] of [...rows, ...peers]) {
  const verdict = Number.isFinite(limit) ? (value <= limit ? 'PASS' : 'FAIL') : '    '
  console.log(`${verdict}  ${what}: ${value < 100 ? value.toFixed(2) : Math.round(value)}${Number.isFinite(limit) ? ` (limit ${limit})` : ''}`)
}
