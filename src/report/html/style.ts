/**
 * The report's one style sheet. Colours are named for their role and defined twice, for light and for dark; both sets
 * keep text at a contrast of 4.5:1 and marks at 3:1 or more. Series differ in shape as well as in colour.
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f7f8fa; --surface: #ffffff; --line: #dfe3e8; --track: #e9ecf0;
  --ink: #17202a; --muted: #566270; --before: #8a95a3; --after: #0b7a75;
  --si: #2b5fc7; --csi: #b4530a; --bad: #b42318; --bad-surface: #fdf0ee; --good: #0b7a4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151a; --surface: #1a2027; --line: #2f3842; --track: #28313a;
    --ink: #e8edf2; --muted: #a3afbc; --before: #7d8a98; --after: #3cc2b8;
    --si: #7aa7ff; --csi: #f0a45c; --bad: #ff8f82; --bad-surface: #33201f; --good: #57cf96;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header p { margin: 0; }
.eyebrow { color: var(--muted); font-size: .875rem; letter-spacing: .02em; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .25rem 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .25rem; }
.lead { font-size: 1.1rem; max-width: 48rem; }
section, .notice { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem 1.5rem 1.4rem; margin-top: 1.25rem; }
.notice { border-color: var(--bad); background: var(--bad-surface); }
.notice h2 { color: var(--bad); }
.notice p { margin: .25rem 0 0; }
.hint { color: var(--muted); margin: 0 0 1rem; max-width: 52rem; font-size: .94rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.2rem, 1fr)); gap: .9rem; margin-top: 1.5rem; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.1rem; }
.card h2 { font-size: .9rem; font-weight: 600; color: var(--muted); margin: 0; }
.card .value { font-size: 1.75rem; font-weight: 650; line-height: 1.25; margin: .15rem 0 0; font-variant-numeric: tabular-nums; }
.card .change { margin: .1rem 0 .6rem; color: var(--muted); font-size: .9rem; }
.card svg { display: block; width: 100%; height: auto; }
.card .good { color: var(--good); } .card .bad { color: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.25rem; margin: 0 0 .5rem; padding: 0; list-style: none; color: var(--muted); font-size: .9rem; }
.legend.key { margin-top: .6rem; }
.legend svg { width: 1.5rem; height: .8rem; vertical-align: -1px; margin-right: .4rem; }
.chart { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
.scroll > .chart { min-width: 36rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .38rem .75rem .38rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--muted); font-weight: 600; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .86rem; overflow-wrap: anywhere; }
details { margin-top: .8rem; }
summary { cursor: pointer; color: var(--muted); font-size: .92rem; width: fit-content; }
summary:focus-visible { outline: 2px solid var(--si); outline-offset: 3px; border-radius: 2px; }
details[open] > summary { margin-bottom: .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0; font-size: .94rem; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 1rem 0 0; padding: .75rem 1rem; border-radius: .5rem; background: var(--track); white-space: pre-wrap; overflow-wrap: anywhere; font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
ul.plain { margin: .25rem 0 0; padding-left: 1.2rem; }
footer { color: var(--muted); font-size: .86rem; margin-top: 1.5rem; }
svg text { font: 12px system-ui, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--muted); }
svg .ink { fill: var(--ink); }
svg .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 11px; }
.fill-track { fill: var(--track); } .fill-before { fill: var(--before); } .fill-after { fill: var(--after); }
.grid { stroke: var(--line); stroke-width: 1; }
.si { stroke: var(--si); fill: none; stroke-width: 2; } .csi { stroke: var(--csi); fill: none; stroke-width: 2; stroke-dasharray: 6 3; }
.si-mark { fill: var(--si); } .csi-mark { fill: var(--csi); }
.idle-mark { fill: var(--surface); }
.idle-mark.si-mark { stroke: var(--si); stroke-width: 1.75; fill: var(--surface); }
.idle-mark.csi-mark { stroke: var(--csi); stroke-width: 1.75; fill: var(--surface); }
@media (max-width: 40rem) { section { padding: 1rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { body { background: none; } main { max-width: none; padding: 0; } section, .card { break-inside: avoid; } }
`;
