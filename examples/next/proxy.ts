export { proxy } from './lib/session.ts'

// All but `about`, which does not use the session. The proxy itself lets `/_next/static` and
// `/_next/image` pass; leaving them out here saves the call.
export const config = { matcher: ['/((?!_next/static|_next/image|about).*)'] }
