/**
 * The report's style: the reader's own light or dark mode, fonts of the system, nothing from a network. On a telephone the
 * plots shrink to half and their text does not; tables scroll under their first column, with a shade where more is to come.
 */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1c2024; --quiet: #60646c; --rule: #d9dce0; --grid: #eceef1;
  --scorer: #0b63ce; --random: #868b94; --oracle: #18794e; --peer-0: #b35900; --peer-1: #8e4ec6; --threshold: #c62a2f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --text: #edeef0; --quiet: #a5abb3; --rule: #3a3f45; --grid: #282c31;
    --scorer: #70b8ff; --random: #8b929b; --oracle: #4cc38a; --peer-0: #ffa057; --peer-1: #c79dff; --threshold: #ff9592;
  }
}
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; } .quiet { color: var(--quiet); } code { font-size: .875em; overflow-wrap: anywhere; }
.table { overflow-x: auto; background: linear-gradient(to left, var(--page) 1rem, transparent) right / 2rem 100% no-repeat local,
  linear-gradient(to left, var(--rule), transparent) right / .75rem 100% no-repeat scroll; }
table { border-spacing: 0; width: 100%; font-size: .875rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
td:not(.number) { min-width: 7rem; overflow-wrap: anywhere; } td:not(.number):not(:first-child) { min-width: 14rem; }
th:first-child, td:first-child { position: sticky; left: 0; max-width: 45vw; background: var(--page); }
th { color: var(--quiet); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; max-width: 46rem; display: block; }
svg text { fill: var(--quiet); font-size: 13px; } svg text.mark { fill: var(--text); stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
.grid { stroke: var(--grid); } .line { fill: none; stroke: currentColor; stroke-width: 2; } .dot { fill: currentColor; }
.scorer { color: var(--scorer); } .line.scorer { stroke-width: 3; } .oracle { color: var(--oracle); }
.random { color: var(--random); } .line.random { stroke-dasharray: 6 5; } .end { color: var(--text); }
.peer-0 { color: var(--peer-0); } .peer-1 { color: var(--peer-1); } .threshold { color: var(--threshold); }
.line.threshold { stroke-width: 1.5; stroke-dasharray: 2 4; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .25rem 0 0; font-size: .875rem; }
.legend span { display: inline-block; width: 1.4em; margin-right: .4em; border-top: 3px solid currentColor; vertical-align: middle; }
.legend .random span { border-top-style: dashed; } .legend .threshold span { border-top-style: dotted; } .legend b { font-weight: 400; color: var(--text); }
@media (max-width: 40rem) { svg text { font-size: 22px; } .line { vector-effect: non-scaling-stroke; } }
`
