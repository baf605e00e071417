/** The page's only style sheet: light, dark and print. */
export const pageStyle: string = `:root { color-scheme: light dark; --ink: #1c2230; --soft: #5b6475; --paper: #ffffff; --line: #d9dee7; --tint: #f4f6fa;
  --series-1: #2459b8; --series-2: #c2561a; --series-3: #2b7f5c; --series-4: #7a4aa6; --faint: #aab4c5; --alert: #fff4e2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --soft: #a3adbf; --paper: #14181f; --line: #333c4b; --tint: #1c222c;
  --series-1: #7aa7f7; --series-2: #f0965a; --series-3: #66c79d; --series-4: #bf98e8; --faint: #566176; --alert: #3a2e17; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 46rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p, ul { margin: .5rem 0; } ul { padding-left: 1.25rem; }
.soft, figcaption, footer { color: var(--soft); font-size: .9rem; }
.alert { background: var(--alert); border-radius: .4rem; padding: .6rem .9rem; } h1 + .alert { margin: .9rem 0; }
.findings li { margin-bottom: .6rem; overflow-wrap: anywhere; } a { color: var(--series-1); }
figure { margin: .75rem 0; } figure svg { width: 100%; height: auto; overflow: visible; --plot-background: var(--paper); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .9rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: .15rem; vertical-align: -.05rem; }
.s1 { background: var(--series-1); } .s2 { background: var(--series-2); } .s3 { background: var(--series-3); }
.s4 { background: var(--series-4); } .faint { background: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; padding-left: 0; } thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; } th:first-child, td { white-space: nowrap; }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
dl { display: grid; grid-template-columns: 10rem 1fr; margin: 0; background: var(--tint); border-radius: .4rem;
  padding: .4rem 1rem; font-size: .85rem; overflow-wrap: anywhere; }
dt { grid-column: 1; color: var(--soft); padding: .3rem 1rem .3rem 0; } dd { grid-column: 2; margin: 0; padding: .3rem 0; }
dt:not(:first-child), dt:not(:first-child) + dd { border-top: 1px solid var(--line); } dd + dd { padding-top: 0; }
figcaption { margin-top: .35rem; }
.narrow { display: none; }
@media screen and (max-width: 34rem) { .narrow { display: block; } .broad { display: none; } }
@media (max-width: 34rem) { dl { display: block; } dt { margin-top: .5rem; } dt:not(:first-child) + dd { border-top: 0; } }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; }
@page { size: A4; margin: 16mm; }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 10.5pt; } .wide { overflow: visible; }
  figure, table, .alert { break-inside: avoid; } h2, h3, .legend { break-after: avoid; } }
`;
