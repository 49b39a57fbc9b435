/** The tour: what a session library is for, in five clicks. */
import type { Fields } from './html.ts'

interface Step {
  readonly label: string
  readonly path: string
  readonly fields: Fields
  readonly text: string
}

export const STEPS: readonly Step[] = [
  {
    label: 'Sign in',
    path: '/a/sign-in',
    fields: { name: 'Ada' },
    text: 'One sealed cookie, and a record in the store.',
  },
  {
    label: 'Break the store',
    path: '/lab/fault',
    fields: { value: 'down' },
    text: 'Every call fails from now on. A failure is never "no session".',
  },
  {
    label: 'Add to the cart',
    path: '/a/cart/add',
    fields: { item: 'Tent' },
    text: 'Ada shops on. Her browser carries the change, sealed.',
  },
  {
    label: 'Mend it',
    path: '/lab/fault',
    fields: { value: 'healthy' },
    text: 'The breaker lets one call try, and the change is written, once.',
  },
  {
    label: 'Look again',
    path: '/lab/look',
    fields: {},
    text: 'Ada is signed in, and the tent is in the cart.',
  },
]
