/** The findings of the doctor. What the site has sent may stand in them, so that no character of them steers a terminal. */
import { plain } from '../words.ts'

/** The outcome of a check. `wrong`: something has to be done; `note`: it is worth to know. */
export interface Judgement {
  readonly level: 'fine' | 'note' | 'wrong'
  readonly text: string
  /** One sentence that says what to do. */
  readonly advice?: string
}

/** A judgement, and what was checked. */
export interface Finding extends Judgement {
  readonly check: string
}

export function about(check: string, judgements: Judgement | readonly Judgement[]): Finding[] {
  return [judgements].flat().map((judgement) => ({ check, ...judgement }))
}

export function fine(text: string): Judgement {
  return { level: 'fine', text: plain(text) }
}

export function wrong(text: string, advice: string): Judgement {
  return { level: 'wrong', text: plain(text), advice }
}

export function note(text: string, advice?: string): Judgement {
  return { level: 'note', text: plain(text), ...(advice && { advice }) }
}
