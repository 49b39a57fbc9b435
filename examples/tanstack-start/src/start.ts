import { createStart } from '@tanstack/react-start'
import { session } from './session.ts'

export const startInstance = createStart(() => ({ requestMiddleware: [session] }))
