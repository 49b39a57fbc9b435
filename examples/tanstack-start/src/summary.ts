import { redirect } from '@tanstack/react-router'
import { createServerFn } from '@tanstack/react-start'
import { summarize } from '../../story/shop.ts'
import { session } from './session.ts'

export const readSummary = createServerFn()
  .middleware([session])
  .handler(async ({ context }) => summarize(await context.session()))

export const readAccount = createServerFn()
  .middleware([session])
  .handler(async ({ context }) => {
    const current = await context.session()
    if (current.subject === null) throw redirect({ to: '/', statusCode: 302 })
    return summarize(current)
  })
