/**
 * Scenarios that once found something, cut down and kept as they were: what a seed gives changes with
 * the generator, and these do not. One line of `kept.jsonl` each.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import type { Scenario } from './simulate.ts'

/** A scenario, the rule that it violated, and what that showed. */
export interface Kept extends Scenario {
  readonly showed: string
  readonly rule: string
}

const FILE: URL = new URL('kept.jsonl', import.meta.url)

/** Returns all kept scenarios, the oldest first. */
export function readKept(): Kept[] {
  const lines = readFileSync(FILE, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Kept)
}

/** Adds one. */
export function keep({ showed, rule, config, actions }: Kept): void {
  const { rates: _, ...rest } = config
  appendFileSync(FILE, `${JSON.stringify({ showed, rule, config: rest, actions })}\n`)
}
