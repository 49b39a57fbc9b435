import { defineCollection } from 'astro:content'
import { pathToFileURL } from 'node:url'
import { docsSchema } from '@astrojs/starlight/schema'
import type { Loader } from 'astro/loaders'
import { type Document, documents, pageOf, root, withLinks } from './documents.ts'

/** Loads the documents of the project: no copy, no front matter. */
const loader: Loader = {
  name: 'documents',
  async load({ store, parseData, renderMarkdown }) {
    store.clear()
    for (const document of documents()) {
      const { path, slug, title, description, body } = document
      const id = slug || 'index'
      const data = await parseData({ id, data: { title, description, head: headOf(document) } })
      const fileURL = pathToFileURL(root + path)
      const rendered = await renderMarkdown(withLinks(path, body, pageOf), { fileURL })
      const html = accessible(rendered.html)
      const assetImports = rendered.metadata?.imagePaths
      store.set({
        id,
        data,
        body,
        filePath: `../${path}`,
        rendered: { ...rendered, html },
        ...(assetImports?.length ? { assetImports } : {}),
      })
    }
  },
}

/** The Markdown of a page, so that tools find it. */
const headOf = ({ slug }: Document) => [
  {
    tag: 'link',
    attrs: { rel: 'alternate', type: 'text/markdown', href: `/${slug || 'index'}.md` },
  },
]

/** Makes wide tables and code scroll by keyboard too, and leaves out empty headings of columns. */
function accessible(html: string): string {
  return html
    .replaceAll('<pre data-language', '<pre tabindex="0" data-language')
    .replaceAll('<table>', '<div class="wide" tabindex="0"><table>')
    .replaceAll('</table>', '</table></div>')
    .replaceAll(/<thead>\s*<tr>(\s*<th[^>]*><\/th>)+\s*<\/tr>\s*<\/thead>/g, '')
    .replaceAll(/<th([^>]*)><\/th>/g, '<td$1></td>')
}

export const collections = { docs: defineCollection({ loader, schema: docsSchema() }) }
