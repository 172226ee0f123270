/** How a weekly report looks: on a screen, light or dark, and on paper, where each page says what it is of. Pure. */
import { Html } from './html.ts';

/** Names that a style may hold as they are. */
const PLAIN = /^[A-Za-z0-9._-]{1,100}$/;

export function weeklyStyle(tenant: string, name: string): Html {
  const running = [tenant, name].every((one) => PLAIN.test(one)) ? `@top-left { content: "Safety report ${tenant}, ${name}"; font: 8pt sans-serif; color: #444; }` : '';
  return new Html(`
@page { size: A4; margin: 19mm 15mm 18mm; ${running} @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #444; } }
${STYLE}`);
}

const STYLE = `:root { color-scheme: light dark; --ground: #fff; --ink: #16181d; --quiet: #565b66; --line: #d3d6dc; --strong: #16181d; --bar: #8fa6c4; --mark: #b4481e; --box: #f4f5f8; }
@media (prefers-color-scheme: dark) { @media screen { :root { --ground: #14161a; --ink: #e6e8ec; --quiet: #a3a9b5; --line: #343942; --strong: #e6e8ec; --bar: #5d7597; --mark: #f08a5b; --box: #1d2026; } } }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: .5rem; border-top: 2px solid var(--strong); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .4rem 0; max-width: 50rem; overflow-wrap: anywhere; }
.week { font-size: 1.1rem; }
.quiet { color: var(--quiet); }
.answer { border: 2px solid var(--strong); padding: .5rem 1rem .8rem; margin: 1rem 0; }
.answer ul { margin: .3rem 0; padding-left: 1.2rem; } .answer li { margin: .2rem 0; max-width: 52rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .5rem 1rem; margin: .4rem 0 .7rem; }
.tiles div { background: var(--box); padding: .4rem .6rem; } .tiles dt { color: var(--quiet); font-size: .82rem; } .tiles dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; } .tiles dd small { display: block; font-size: .78rem; font-weight: 400; color: var(--quiet); }
.note { background: var(--box); border-left: 4px solid var(--mark); padding: .5rem .8rem; max-width: none; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 2rem; align-items: start; }
.scroll { overflow-x: auto; margin: .2rem 0 1rem; }
figure { margin: .6rem 0 1rem; min-width: 0; }
figcaption { font-weight: 600; font-size: .9rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th, thead td { border-bottom: 1.5px solid var(--strong); vertical-align: bottom; font-weight: 600; }
tbody th { font-weight: 500; min-width: 7rem; max-width: 20rem; overflow-wrap: anywhere; }
td:not(.number) { overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
.swatch { display: inline-block; width: .7em; height: .7em; background: var(--bar); } .swatch.marked { background: var(--mark); }
svg { display: block; }
.days { width: 100%; height: auto; max-height: 15rem; } .days rect { fill: var(--bar); } .days .marked { fill: var(--mark); } .days line { stroke: var(--quiet); } .days text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.course { width: 6.5rem; height: 1.3rem; } .course rect { fill: var(--bar); } .course .marked { fill: var(--mark); }
.legend { font-weight: 400; color: var(--quiet); }
dl.facts { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .15rem 1rem; margin: .4rem 0 1rem; }
dl.facts dt { color: var(--quiet); } dl.facts dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
code, pre { font: .82rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; border: 1px solid var(--line); padding: .5rem; margin: .3rem 0 1rem; }
.small { font-size: .88rem; }
@media (max-width: 40rem) { body { padding: .8rem; } dl.facts { grid-template-columns: 1fr; } dl.facts dd { margin-bottom: .4rem; } .days { max-height: none; } }
@media print {
  :root { color-scheme: only light; --box: #f2f2f2; }
  body { font-size: 9.5pt; padding: 0; max-width: none; }
  h1 { font-size: 18pt; } h2 { font-size: 12.5pt; margin: 13pt 0 4pt; padding-top: 3pt; } h3 { font-size: 10.5pt; }
  h2, h3, figcaption { break-after: avoid; }
  thead { display: table-header-group; }
  tr, .answer, .note, figure.whole { break-inside: avoid; }
  p, li { orphans: 3; widows: 3; }
  .scroll { overflow: visible; margin-bottom: 4pt; } figure { margin: 4pt 0 6pt; }
  .pair { grid-template-columns: 1fr 1fr; gap: 0 6mm; }
  .tiles { grid-template-columns: repeat(4, 1fr); } .tiles dd { font-size: 12pt; } .tiles div { border: .5pt solid #bbb; }
  table { font-size: 8pt; } code, pre { font-size: 7pt; } .small { font-size: 8.5pt; }
  tbody th { min-width: 22mm; max-width: 60mm; } th, td { padding: .7mm 2mm .7mm 0; }
  .swatch, .days rect, .course rect, .tiles div, .note { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .days { max-height: 45mm; }
}
`;
