import type { APIRoute } from 'astro'
import { type Document, documents, toMarkdown } from '../documents.ts'

/** The Markdown of every page. */
export const GET: APIRoute<{ document: Document }> = ({ props }) =>
  new Response(toMarkdown(props.document))

export const getStaticPaths = () =>
  documents().map((document) => ({
    params: { slug: document.slug || 'index' },
    props: { document },
  }))
