import { defineHandler } from 'nitro/h3'
import { summarize } from '../../../story/shop.ts'
import { sessions } from '../lib/sessions.ts'

export default defineHandler(async ({ req }) => summarize(await sessions.get(req)))
