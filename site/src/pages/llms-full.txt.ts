import { documents, toMarkdown } from '../documents.ts'

/** Every page in one text. */
export const GET = () => new Response(documents().map(toMarkdown).join('\n\n'))
