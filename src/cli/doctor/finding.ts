/** The findings of the doctor. What the site has sent may stand in them, so that no character of them steers a terminal. */
import { plain } from '../words.ts'

/** One finding. `wrong`: something has to be done; `note`: it is worth to know. */
export interface Finding {
  readonly check: Check
  readonly level: 'fine' | 'note' | 'wrong'
  readonly text: string
  /** One sentence that says what to do. */
  readonly advice?: string
}

/** The things that are checked. */
export type Check =
  | 'page'
  | 'cookie'
  | 'attributes'
  | 'prefix'
  | 'secure'
  | 'returns'
  | 'cache'
  | 'vary'
  | 'size'
  | 'clock'

/** Makes a finding that all is well. */
export function fine(check: Check, text: string): Finding {
  return { check, level: 'fine', text: plain(text) }
}

/** Makes a finding that something has to be done. */
export function wrong(check: Check, text: string, advice: string): Finding {
  return { check, level: 'wrong', text: plain(text), advice }
}

/** Makes a finding that is worth to know. */
export function note(check: Check, text: string, advice?: string): Finding {
  return { check, level: 'note', text: plain(text), ...(advice && { advice }) }
}
