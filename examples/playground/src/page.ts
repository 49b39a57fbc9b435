/** The one page of the playground. */
import { part } from './html.ts'
import type { Lab } from './lab.ts'
import { renderExperiments, renderPolicy, renderStore, renderTour } from './panels.ts'
import { type Pane, renderPane } from './panes.ts'
import type { StoreName } from './stores.ts'
import { renderTimeline } from './timeline.ts'

/** What the page shows. */
export interface View {
  readonly lab: Lab
  readonly panes: readonly Pane[]
  readonly isConfigured: (name: StoreName) => boolean
}

/** Renders the page for one visitor. */
export function renderPage({ isConfigured, lab, panes }: View): string {
  // While a mended store is not asked yet, the script of the page looks again by itself.
  const isLate = panes.some(({ shown }) => shown.status === 'degraded')
  const waits = lab.settings.fault === 'healthy' && isLate ? 'yes' : 'no'
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sojourn playground</title>
<meta name="description" content="Sessions, and what becomes of them when things go wrong.">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/playground.css">
<script type="module" src="/playground.js"></script>
</head>
<body>
<a class="skip" href="#pane-a">To the browsers</a>
<header class="top"><h1>Sojourn</h1><p>Sessions, and what becomes of them when things go wrong.</p></header>
<p id="said" role="status" class="unseen"></p>
<main>
${renderTour(lab)}
${panes.map(renderPane).join('\n')}
${renderTimeline(lab)}
${renderStore(lab, isConfigured)}
${renderExperiments(lab)}
${renderPolicy(lab)}
</main>
${part('waits', waits, 'hidden')}
</body>
</html>`
}
