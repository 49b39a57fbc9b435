import { defineMiddleware, toResponse } from 'nitro/h3'
import { sessions } from '../lib/sessions.ts'

// Every route may use the session of `event.req`; what it changed is saved with its response.
export default defineMiddleware((event, next) =>
  sessions.handler(async () => toResponse(await next(), event))(event.req),
)
