/** The style of the playground's page. */
export const STYLE = `
:root { --bg:#f6f5f1; --card:#fff; --ink:#1f2430; --soft:#667085; --line:#e4e1d8; --accent:#0f766e; --on:#fff; --good:#e6f4f1; --bad:#fdecea; --badink:#b42318; --warn:#93560a }
@media (prefers-color-scheme: dark) {
  :root { --bg:#14171c; --card:#1c2027; --ink:#e8eaed; --soft:#98a2b3; --line:#2d333d; --accent:#2dd4bf; --on:#06211d; --good:#12332f; --bad:#3a1a17; --badink:#fda29b; --warn:#fec84b }
}
* { box-sizing: border-box }
body { margin:0 auto; max-width:68rem; padding:1.25rem; background:var(--bg); color:var(--ink); font:16px/1.5 system-ui,sans-serif }
header { display:flex; flex-wrap:wrap; align-items:baseline; gap:.25rem 1rem; margin:.5rem 0 1.25rem }
h1 { margin:0; font-size:1.75rem; letter-spacing:-.02em } header p { margin:0; color:var(--soft) }
h2 { margin:.25rem 0 0; font-size:1.05rem }
h3 { margin:0 0 .75rem; font-size:.75rem; text-transform:uppercase; letter-spacing:.08em; color:var(--soft) }
main { display:grid; gap:1rem; grid-template-columns:minmax(0,1fr) }
@media (min-width: 52rem) { main { grid-template-columns:minmax(0,5fr) minmax(0,6fr) } }
section { display:grid; gap:.9rem; align-content:start; min-width:0 } .alone { grid-column:1/-1 }
article { background:var(--card); border:1px solid var(--line); border-radius:14px; padding:1.1rem 1.2rem; min-width:0 } article > :last-child { margin-bottom:0 }
form { margin:0 } .stack { display:grid; gap:.6rem } .row { display:flex; flex-wrap:wrap; gap:.5rem }
label { font-weight:600 } .check { font-weight:400; color:var(--soft); display:flex; gap:.5rem; align-items:center }
input:not([type=checkbox]) { width:100%; padding:.6rem .75rem; font:inherit; color:inherit; background:var(--bg); border:1px solid var(--line); border-radius:10px }
button { min-height:2.5rem; padding:.45rem .95rem; font:inherit; font-weight:600; color:var(--on); background:var(--accent); border:1px solid transparent; border-radius:10px; cursor:pointer } button:hover { filter:brightness(1.08) }
button.plain { color:var(--ink); background:transparent; border-color:var(--line) } button.plain:hover { border-color:var(--accent) }
button[aria-pressed=true] { border-color:var(--accent); box-shadow:inset 0 0 0 1px var(--accent) } .hint { margin:.6rem 0; color:var(--soft); font-size:.9rem } a { color:var(--accent) } small { display:block; color:var(--soft) } summary { cursor:pointer } code { font:.85em ui-monospace,monospace; overflow-wrap:anywhere }
button.small { min-height:2rem; padding:.15rem .6rem; font-size:.85rem; white-space:nowrap } button.danger { color:var(--badink) }
:focus-visible { outline:3px solid var(--accent); outline-offset:2px }
.who { margin:0 0 .8rem } .dot { display:inline-block; width:.6rem; height:.6rem; margin-right:.5rem; border-radius:50%; background:var(--accent) }
ul, ol { list-style:none; margin:0; padding:0 }
#cart { margin-top:.8rem } #devices { margin-bottom:.8rem } #cart li, #devices li { display:flex; justify-content:space-between; align-items:center; gap:1rem; padding:.45rem 0; border-top:1px solid var(--line) }
.empty { color:var(--soft) } .counter { display:flex; flex-wrap:wrap; gap:.5rem; align-items:center; justify-content:space-between } output { font-size:2.2rem; font-weight:700; font-variant-numeric:tabular-nums }
.notice { margin:0 0 1rem; padding:.75rem 1rem; border-radius:12px; background:var(--good); border:1px solid var(--accent) }
.bad { background:var(--bad); border-color:var(--badink); color:var(--badink) }
dl { display:grid; gap:.45rem; margin:0 0 1rem } dl div { display:flex; flex-wrap:wrap; align-items:baseline; justify-content:space-between; gap:0 1rem }
dt { color:var(--soft); font-size:.95rem } dd { margin:0; font:.875rem ui-monospace,monospace; overflow-wrap:anywhere; text-align:right }
.status::before { content:''; display:inline-block; width:.55rem; height:.55rem; margin-right:.45rem; border-radius:50%; background:var(--soft) } .status.active::before { background:var(--accent) }
.status.degraded { color:var(--warn) } .status.degraded::before { background:var(--warn) } .status:is(.invalid,.missing,.superseded) { color:var(--badink) } .status:is(.invalid,.missing,.superseded)::before { background:var(--badink) }
.sealed { margin:0 0 .8rem; padding:.5rem .7rem; overflow:hidden; text-overflow:ellipsis; white-space:nowrap; color:var(--soft); background:var(--bg); border-radius:8px; font:.8rem ui-monospace,monospace }
pre { margin:0; overflow-x:auto; font:.85rem/1.5 ui-monospace,monospace; white-space:pre-wrap; overflow-wrap:anywhere }
#requests > li { padding:.5rem 0; border-top:1px solid var(--line) } #requests > li:first-child { border-top:0 }
#requests p { display:flex; flex-wrap:wrap; align-items:baseline; gap:.25rem .9rem; margin:0; color:var(--soft); font-size:.85rem } #requests code { color:var(--ink); font-weight:600; font-size:1em }
#requests ul { display:flex; flex-wrap:wrap; gap:.35rem; margin-top:.35rem } #requests ul li { padding:.05rem .55rem; border:1px solid var(--line); border-radius:999px; font:.78rem ui-monospace,monospace }
`
