export { proxy } from './lib/session.ts'

export const config = { matcher: ['/((?!_next/|about).*)'] }
