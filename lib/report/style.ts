/**
 * The style of reports: the reader's own light or dark mode, fonts of the system, nothing from a network. On paper it is
 * light, with plots and rows that do not break. On a telephone tables scroll under their first column, with a shade where
 * more is to come.
 */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1c2024; --quiet: #60646c; --rule: #d9dce0; --grid: #eceef1; --card: #f7f8f9;
  --oss: #2a9d8f; --frontier: #4f6bed; --refused: #d1495b; --failed: #868b94; --stays: #c3c8cf;
  --before: #aeb4bd; --after: #4f6bed; --before-line: #60646c; --after-line: #c2410c;
  --right: #2f9e44; --wrong: #d1495b; --invalid: #e9a23b; --warn: #fff3d6; --warn-text: #6b4700; --warn-rule: #e9c46a;
  --scorer: #0b63ce; --random: #868b94; --oracle: #18794e; --peer-0: #b35900; --peer-1: #8e4ec6; --threshold: #c62a2f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --text: #edeef0; --quiet: #a5abb3; --rule: #3a3f45; --grid: #282c31; --card: #1d2024;
    --oss: #4fc4b4; --frontier: #8ea2ff; --refused: #ff8695; --failed: #8b929b; --stays: #4b525b;
    --before: #5d6570; --after: #8ea2ff; --before-line: #a5abb3; --after-line: #ffa057;
    --right: #5fd068; --wrong: #ff8695; --invalid: #f0bd66; --warn: #33290f; --warn-text: #f4d58d; --warn-rule: #6b5520;
    --scorer: #70b8ff; --random: #8b929b; --oracle: #4cc38a; --peer-0: #ffa057; --peer-1: #c79dff; --threshold: #ff9592;
  }
}
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --text: #000; --quiet: #444; --rule: #bbb; --grid: #e5e5e5; --card: #fff;
    --oss: #2a9d8f; --frontier: #4f6bed; --refused: #d1495b; --stays: #c3c8cf; --before: #aeb4bd; --after: #4f6bed;
    --before-line: #444; --after-line: #c2410c; --right: #2f9e44; --wrong: #d1495b; --invalid: #e9a23b;
    --warn: #fff; --warn-text: #000; --warn-rule: #888;
    --scorer: #0b63ce; --random: #868b94; --oracle: #18794e; --peer-0: #b35900; --peer-1: #8e4ec6; --threshold: #c62a2f;
  }
  body { padding: 0; max-width: none; font-size: 11pt; } svg, tr, .tile, .notice { break-inside: avoid; } h2 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 64rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2.75rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p, .notice { max-width: 48rem; overflow-wrap: anywhere; } .quiet { color: var(--quiet); } code { font-size: .875em; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .75rem .85rem; }
.tile b { display: block; font-size: 1.2rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { color: var(--quiet); font-size: .8125rem; }
.notice { background: var(--warn); color: var(--warn-text); border: 1px solid var(--warn-rule); border-radius: .5rem;
  padding: .5rem .9rem; margin: .5rem 0; }
.table { overflow-x: auto; background: linear-gradient(to left, var(--page) 1rem, transparent) right / 2rem 100% no-repeat local,
  linear-gradient(to left, var(--rule), transparent) right / .75rem 100% no-repeat scroll; }
th:first-child, td:first-child { position: sticky; left: 0; max-width: 45vw; background: var(--page); }
table { border-spacing: 0; width: 100%; font-size: .875rem; margin: .5rem 0; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; min-width: 7.4rem; } th { color: var(--quiet); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; min-width: 0; }
svg { display: block; width: 100%; height: auto; max-width: 50rem; margin: .5rem 0; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .5rem 0 0; font-size: .875rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin-right: .45em; background: currentColor; }
.legend span { color: var(--text); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2rem; }
`
