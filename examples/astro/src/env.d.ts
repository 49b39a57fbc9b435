/// <reference types="astro/client" />
import type { SessionLocals } from 'sojourn/astro'
import type { Shop } from '../../story/shop.ts'

declare global {
  namespace App {
    interface Locals extends SessionLocals<Shop> {}
  }
}
