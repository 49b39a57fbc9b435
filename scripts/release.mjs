/**
 * Says what is missing before a release: `node scripts/release.mjs`. Placeholders that were not replaced,
 * versions that differ, a change log without a date, and a
 * tag of another version.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run.mjs'

const folder = process.argv[2] ?? root
const read = (path) => readFileSync(join(folder, path), 'utf8')
const { version, homepage, bugs, repository } = JSON.parse(read('package.json'))

const missing = []
for (const [name, value] of Object.entries({ homepage, bugs, repository: repository.url })) {
  if (/OWNER|\.example\b/.test(value))
    missing.push(`package.json: ${name} is a placeholder, ${value}`)
}
for (const file of ['jsr.json', 'package-lock.json']) {
  const other = JSON.parse(read(file)).version
  if (other !== version) missing.push(`${file}: version ${other}, and ${version} in package.json`)
}
if (!read('src/observe/otel.ts').includes(`'${version}'`)) {
  missing.push(`src/observe/otel.ts: the scope's version is not ${version}`)
}
const heading = read('CHANGELOG.md').match(/^## .*$/m)?.[0]
if (
  !new RegExp(`^## ${version.replaceAll('.', '\\.')} \\(\\d{4}-\\d\\d-\\d\\d\\)$`).test(heading)
) {
  missing.push(`CHANGELOG.md: "${heading}" in place of "## ${version} (<year>-<month>-<day>)"`)
}

// What GitHub runs for a tag: that of another version would be published under this one.
const { GITHUB_REF_NAME: tag, GITHUB_REF_TYPE } = process.env
if (GITHUB_REF_TYPE === 'tag' && tag !== `v${version}`) {
  missing.push(`The tag is ${tag}, and not v${version}`)
}

for (const line of missing) console.error(line)
process.exitCode = missing.length ? 1 : 0
