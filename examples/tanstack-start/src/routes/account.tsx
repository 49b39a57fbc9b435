import { createFileRoute } from '@tanstack/react-router'
import { readAccount } from '../summary.ts'

export const Route = createFileRoute('/account')({
  loader: () => readAccount(),
  component: () => <p>{Route.useLoaderData()}</p>,
})
