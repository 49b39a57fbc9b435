import type { SessionLocals } from 'sojourn/sveltekit'
import type { Shop } from '../../story/shop.ts'

declare global {
  namespace App {
    interface Locals extends SessionLocals<Shop> {}
  }
}
