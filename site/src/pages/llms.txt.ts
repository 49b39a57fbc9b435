import { toLlmsText } from '../documents.ts'

/** A table of contents for language models. */
export const GET = () => new Response(toLlmsText())
