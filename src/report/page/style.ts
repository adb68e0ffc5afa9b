const shades = (name: string): string =>
  Array.from(
    { length: 9 },
    (_, i) =>
      `.${name}${i + 1}{--shade:color-mix(in srgb,var(--${name}) ${Math.round(5 + 5.5 * (i + 1))}%,var(--paper))}`,
  ).join('');
const series = (kind: 's' | 'v', count: number): string =>
  Array.from({ length: count }, (_, k) => `.${kind}${k}{--mark:var(--${kind}${k})}`).join('');

/**
 * The style sheet of a report: one type scale (a fifth up each step), one column of text, colours of series that stay apart whatever
 * cones the reader has (`test/report/palette.test.ts`); light and dark as the reader's system is, black on white on paper. No attribute
 * `style` is needed, which the page's policy would not let in.
 */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fff;--raised:#f5f6f7;--ink:#1b1f23;--muted:#59636d;--line:#d5dadf;--link:#005a9c;--right:#0072b2;--wrong:#c8511b;
--s0:#0072b2;--s1:#c8511b;--s2:#13aa5f;--s3:#7f0e6d;--s4:#453108;--s5:#122b29;--s6:#a30dff;--s7:#82868a;
--v0:#00407f;--v1:#4a6291;--v2:#7d7c78;--v3:#ab8f45;--v4:#c99700;--quiet:#b4bcc4;
--t-1:.8333rem;--t0:1rem;--t1:1.2rem;--t2:1.44rem;--t3:1.728rem;--t4:2.074rem}
@media (prefers-color-scheme:dark){:root{--paper:#15191d;--raised:#1e2429;--ink:#e6e9ec;--muted:#a3adb7;--line:#3a434b;--link:#7cc0f5;--right:#3d9ddb;--wrong:#e0703a;
--s0:#56b4e9;--s1:#f08a53;--s2:#0dffa1;--s3:#cc004a;--s4:#fcd000;--s5:#ccfaff;--s6:#a91dff;--s7:#979ca0;
--v0:#5f9be0;--v1:#8aa6c9;--v2:#b3b1a9;--v3:#d4bb74;--v4:#f5d04f;--quiet:#5b666f}}
@media print{:root{color-scheme:light;--paper:#fff;--raised:#fff;--ink:#000;--muted:#444;--line:#bbb;--link:#000;--right:#0072b2;--wrong:#c8511b;
--s0:#0072b2;--s1:#c8511b;--s2:#13aa5f;--s3:#7f0e6d;--s4:#453108;--s5:#122b29;--s6:#a30dff;--s7:#82868a;--quiet:#b4bcc4}}
*{box-sizing:border-box}
html{font:100%/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;background:var(--paper);color:var(--ink);-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0}
h1,h2,h3,p,dl,dd,ul,figure{margin:0}
p{overflow-wrap:anywhere}
ul{padding:0;list-style:none}
h1{font-size:var(--t4);line-height:1.2;overflow-wrap:anywhere}
h2,h3{font-size:var(--t2);line-height:1.3}
.chapter>h2{font-size:var(--t3);line-height:1.25;overflow-wrap:anywhere;padding-top:2.5rem;border-top:2px solid var(--ink)}
.title{font-weight:600;line-height:1.4}
a{color:var(--link)}
code{font:var(--t-1)/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
abbr{text-decoration:none}
button,select,input{font:inherit;color:inherit}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.page{max-width:96rem;margin:0 auto;padding:2rem 1rem 4rem}
header p,.lede,.note,.notes{color:var(--muted);max-width:46rem}
header .kind{font-size:var(--t-1)}
header .lede{font-size:var(--t1);line-height:1.4;margin-top:.5rem;color:var(--ink)}
.notes{margin-top:1rem;font-size:var(--t-1);border-left:3px solid var(--s4);padding-left:.75rem}
nav{font-size:var(--t-1);margin:1.5rem 0 0}
nav .title{color:var(--muted)}
nav ul{display:flex;flex-wrap:wrap;gap:0 1rem}
nav a{display:inline-block;padding:.25rem 0;text-decoration:none}
nav a:hover{text-decoration:underline}
main>section,.chapter>section{margin-top:2.5rem}
.chapter{margin-top:4rem}
section>.lede{margin-top:.25rem}
section>:not(h2,h3,.lede,.note){margin-top:1rem}
.note{font-size:var(--t-1);margin-top:.75rem}
.key{display:flex;flex-wrap:wrap;gap:1rem 3rem}
.key dt{font-size:var(--t-1);color:var(--muted)}
.key dd{font-variant-numeric:tabular-nums;white-space:nowrap}
.big{font-size:var(--t4);line-height:1.2;font-weight:600}
.ends,.quiet{color:var(--muted);font-size:var(--t-1)}
.scroll{overflow-x:auto;max-width:100%;width:fit-content}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;font-size:var(--t-1);color:var(--muted);padding-bottom:.5rem}
.data th,.data td{padding:.3rem .75rem;border-bottom:1px solid var(--line);text-align:left;font-weight:400;vertical-align:baseline}
.data th:first-child,.data td:first-child{padding-left:0;overflow-wrap:break-word;min-width:7rem}
.data thead th{font-size:var(--t-1);color:var(--muted);border-bottom-color:var(--muted);vertical-align:bottom}
.data td{white-space:nowrap}
.data th:first-child{max-width:20rem}
.data .num{text-align:right;white-space:nowrap}
.data .num+.quiet,.data td.quiet{text-align:right;white-space:nowrap;padding-left:0}
.data tbody tr:hover{background:var(--raised)}
.data .best{font-weight:600}
.sort{border:0;background:none;padding:0;cursor:pointer;color:inherit;text-align:inherit}
.sort{position:relative}
.sort::after{position:absolute;left:100%;padding-left:.1em}
[aria-sort=ascending] .sort::after{content:"↑"}
[aria-sort=descending] .sort::after{content:"↓"}
.tall{max-height:38rem;overflow:auto}
.tall thead{position:sticky;top:0;background:var(--paper)}
.halo text{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.thin{stroke-width:1.25;opacity:.8}
.first{stroke-width:3}
.link{border:0;background:none;padding:0;color:var(--link);text-decoration:underline;cursor:pointer}
.matrix{border-spacing:2px;border-collapse:separate}
.matrix th{font-size:var(--t-1);font-weight:400;padding:.25rem .5rem;text-align:right;vertical-align:bottom;max-width:9rem;overflow-wrap:anywhere}
.matrix thead th{text-align:center}
.matrix thead th:first-child{color:var(--muted);text-align:right;white-space:nowrap}
.matrix tbody th{vertical-align:middle}
.matrix td{padding:0;text-align:center;min-width:4.25rem;background:var(--shade,var(--raised))}
.matrix td>.count,.matrix td>.share{margin:0 .4rem}
.matrix td:not(:has(button)){padding:.35rem 0}
.matrix td button{display:block;width:100%;border:2px solid transparent;background:none;padding:.35rem .4rem;cursor:pointer}
.matrix td button:hover{border-color:var(--muted)}
.matrix td button[aria-pressed=true]{border-color:var(--ink)}
.count{display:block;font-size:var(--t1);line-height:1.2}
.share{display:block;font-size:var(--t-1);min-height:1.25rem;white-space:nowrap}
.empty{color:var(--muted)}
.self{--shade:var(--raised)}
${shades('right')}${shades('wrong')}
.side{display:flex;flex-wrap:wrap;gap:1.5rem 3rem;align-items:flex-start}
.slider{flex:1 1 18rem;max-width:30rem;min-width:0}
.slider input{width:100%;margin:.25rem 0 0;accent-color:var(--right)}
.slider output{font-weight:600;font-variant-numeric:tabular-nums}
.slider .ends{display:flex;justify-content:space-between}
.rates{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.5rem 1rem;margin-top:1rem}
.rates dt{font-size:var(--t-1);color:var(--muted)}
.rates dd{font-variant-numeric:tabular-nums;white-space:nowrap}
.cell{margin-top:1.5rem}
.cell .note{margin:0 0 1rem}
.choose{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline}
select{max-width:14rem;background:var(--paper);border:1px solid var(--muted);padding:.15rem .3rem}
[data-show]{background:var(--raised);border:1px solid var(--muted);padding:.15rem .9rem;cursor:pointer}
.many{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.5rem 3rem;align-items:start;width:100%}
.heat svg{display:block;width:100%;max-width:38rem;border:1px solid var(--line)}
.heat .ground{fill:var(--paper)}
.heat path{fill:var(--shade)}
.heat .wrong1,.heat .wrong2,.heat .wrong3{--shade:color-mix(in srgb,var(--wrong) 45%,var(--paper))}
.heat .wrong4,.heat .wrong5,.heat .wrong6{--shade:color-mix(in srgb,var(--wrong) 72%,var(--paper))}
.heat .wrong7,.heat .wrong8,.heat .wrong9{--shade:var(--wrong)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:1.25rem 1rem}
.gallery li{min-width:0;font-size:var(--t-1);line-height:1.35}
.thumb{display:block;width:8rem;height:8rem;object-fit:contain;object-position:left bottom;margin-bottom:.35rem}
.thumb.none{background:var(--raised);color:var(--muted);display:grid;place-items:center}
.shown{position:relative;display:block;width:fit-content}
.heat-over{position:absolute;inset:0}
.looks:has(.look input:not(:checked)) .heat-over{display:none}
.look{display:block;font-size:var(--t-1);color:var(--muted);margin-bottom:1rem;max-width:46rem}
.look input{accent-color:var(--right);vertical-align:-2px}
.near,.file{color:var(--muted)}
.file{overflow-wrap:anywhere}
.names{columns:16rem;column-gap:2rem;margin-top:1rem;font-size:var(--t-1);color:var(--muted)}
.names li{overflow-wrap:anywhere;break-inside:avoid}
.tall+.charts{margin-top:2.5rem}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:2rem 2.5rem}
.chart{min-width:0;max-width:34rem}
.chart.wide{grid-column:1/-1;max-width:64rem}
.chart svg{display:block;width:100%;height:auto}
.chart figcaption{margin-bottom:.25rem}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-size:var(--t-1);font-variant-numeric:tabular-nums}
.chart .legend svg{display:inline-block;width:14px;height:14px;vertical-align:-2px}
.chart .note{margin-top:.25rem}
svg text{font-size:12px;fill:var(--muted);font-variant-numeric:tabular-nums}
svg .name{fill:var(--ink)}
.mid{text-anchor:middle}.end{text-anchor:end}
.grid path{stroke:var(--line);stroke-width:1;fill:none}
.frame{stroke:var(--line);fill:none}
.axis,.rule{stroke:var(--muted);stroke-width:1;fill:none}
.dash{stroke-dasharray:4 4}
.line{fill:none;stroke:var(--mark);stroke-width:2;stroke-linejoin:round}
.line.quiet{--mark:var(--quiet);stroke-width:1}
.fill{fill:var(--mark)}.fill.quiet{--mark:var(--quiet)}
.dots{stroke:var(--mark);stroke-width:4;stroke-linecap:round;fill:none;opacity:.75}
.dots.large{stroke-width:6}
.dots.quiet,.cross.quiet{--mark:var(--quiet)}
.cross{stroke:var(--mark);stroke-width:2;fill:none}
.here{fill:var(--paper);stroke:var(--ink);stroke-width:2}
${series('s', 8)}${series('v', 5)}
.map{position:relative}
.ring{fill:none;stroke:var(--ink);stroke-width:2}
.tip{position:absolute;z-index:1;pointer-events:none;background:var(--paper);border:1px solid var(--muted);padding:.4rem;font-size:var(--t-1);line-height:1.3;max-width:11rem;overflow-wrap:anywhere}
.parallel{overflow-x:auto}
.parallel svg{min-width:40rem}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1.5rem 3rem}
.facts div{display:grid;grid-template-columns:9rem minmax(0,1fr);gap:.75rem;padding:.2rem 0;border-bottom:1px solid var(--line);font-size:var(--t-1)}
.facts dt{color:var(--muted)}
.facts dd{overflow-wrap:anywhere}
.options{font-size:var(--t-1);width:100%}
.options th,.options td{text-align:left;font-weight:400;padding:.2rem .75rem .2rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.options th{color:var(--muted);white-space:nowrap}
footer{margin-top:4rem;font-size:var(--t-1);color:var(--muted)}
@media (min-width:72rem){.page{display:grid;grid-template-columns:12rem minmax(0,1fr);gap:0 3rem;padding:3rem 2rem 4rem}header,footer{grid-column:2}nav{grid-column:1;grid-row:1/4;position:sticky;top:3rem;align-self:start;margin:0;max-height:calc(100vh - 4rem);overflow-y:auto}nav ul{display:block}}
@media print{html{font-size:11pt}nav,.slider input,.slider .ends,.choose,[data-cell-images]{display:none}.page{display:block;padding:0;max-width:none}.tall{max-height:none;overflow:visible}.chart,.gallery li,tr{break-inside:avoid}.matrix td,.heat path{print-color-adjust:exact;-webkit-print-color-adjust:exact}h2,h3,.title{break-after:avoid}section{break-inside:auto}}
`.trim();
