/** Settings that an operator changes while the application runs. Loaded with the option `controls`. */
import { applyRules, isObject, type Rule, refuseUnless } from '../check.ts'
import { StoreTimeoutError } from '../errors.ts'
import { LastGood } from '../last-good.ts'
import type { Controls } from '../options.ts'
import { within } from '../resilience/deadline.ts'
import type { Instance } from './instance.ts'
import { background, perInstance } from './instances.ts'

/** The answers of one instance's `controls`. */
interface Answers {
  readonly last: LastGood<Controls>
  /** Epoch milliseconds of the last question. */
  askedAt: number
  /** Numbers of the last question, and of the last one that was answered: an older answer may come later. */
  asked: number
  answered: number
}

/** Epoch seconds are below this, and so is no time at which this library ran. */
export const YEAR_2001 = 1e12

/**
 * Brings the controls in force up to date. The first answer is awaited; later ones are asked for once in
 * `controlsTtl` seconds, and nobody waits for them. Never rejects.
 *
 * @param request Keeps its runtime busy until an answer is there, where an adapter can see to that.
 */
export async function updateControls(instance: Instance, request?: Request): Promise<void> {
  const { controlsTtl, now } = instance.options
  const answers = answersOf(instance)
  // Nobody joins another request that asks: on Workers its answer may never come here.
  if (!answers.answered) return await ask(instance, answers)
  if (Math.abs(now() - answers.askedAt) < 1000 * controlsTtl) return
  const asking = ask(instance, answers)
  if (request) background.set(request, asking)
}

/** The problem with the last answer; `undefined`: it was good. */
export function controlsProblem(instance: Instance): string | undefined {
  return answersOf(instance).last.problem
}

const answersOf = perInstance(
  ({ emit, options }): Answers => ({
    last: new LastGood<Controls>(
      {},
      (answer) => check(answer, options.now()),
      (message) => emit({ type: 'policy.invalid', message }),
    ),
    askedAt: 0,
    asked: 0,
    answered: 0,
  }),
)

async function ask(instance: Instance, answers: Answers): Promise<void> {
  const { controls, now, storeTimeout } = instance.options
  const number = ++answers.asked
  answers.askedAt = now()
  const late = (): Error => new StoreTimeoutError('The controls took too long')
  const call = async (): Promise<unknown> => await controls?.()
  const [outcome] = await Promise.allSettled([within(1000 * storeTimeout, undefined, late, call)])
  if (number < answers.answered) return
  answers.answered = number
  const { last } = answers
  if (outcome.status === 'fulfilled') instance.inForce = last.take(outcome.value)
  else instance.inForce = last.fail('The option "controls"', outcome.reason)
}

function check(answer: unknown, now: number): Controls {
  refuseUnless(isObject(answer), 'controls', 'a function that returns an object', answer)
  const isTime = (value: unknown): boolean =>
    value === null || (typeof value === 'number' && value >= YEAR_2001 && value <= now)
  const rules: Record<keyof Controls, Rule> = {
    notBefore: [undefined, 'epoch milliseconds of the past, or null', isTime],
    readOnly: [undefined, 'true, false or null', (value) => typeof (value ?? false) === 'boolean'],
  }
  const { notBefore, readOnly } = applyRules<Controls>('controls.', rules, answer as object)
  return { ...(notBefore && { notBefore }), ...(readOnly && { readOnly }) }
}
