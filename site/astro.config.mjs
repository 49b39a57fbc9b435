import { readFileSync } from 'node:fs'
import starlight from '@astrojs/starlight'
import { defineConfig } from 'astro/config'
import { documents, sections } from './src/documents.ts'

const { homepage } = JSON.parse(readFileSync('../package.json', 'utf8'))
const slugs = new Map(documents().map(({ path, slug }) => [path, slug]))

export default defineConfig({
  site: homepage,
  trailingSlash: 'ignore',
  integrations: [
    starlight({
      title: 'Sojourn',
      description: 'Sessions for every runtime that speaks Request, Response and WebCrypto',
      customCss: ['./src/style.css'],
      markdown: { processedDirs: ['../docs'] },
      sidebar: sections().map(({ title, paths }) => ({
        label: title,
        collapsed: title === 'Reference',
        items: paths.map((path) => ({ slug: slugs.get(path) })),
      })),
    }),
  ],
})
