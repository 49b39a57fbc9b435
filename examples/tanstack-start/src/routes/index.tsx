import { createFileRoute } from '@tanstack/react-router'
import { readSummary } from '../summary.ts'

export const Route = createFileRoute('/')({
  loader: () => readSummary(),
  component: () => <p>{Route.useLoaderData()}</p>,
})
