import type { EnvironmentDescription } from '../../src/report/environment';
import { describeEnvironment } from '../../src/report/environment';
import { escapeHtml, html } from '../../src/report/html/markup';
import { renderHtmlReport } from '../../src/report/html/page';
import type { ReportContext, ReportedResult } from '../../src/report/types';

const ENVIRONMENT: EnvironmentDescription = {
  cpuModel: 'A processor',
  cpuThreads: 8,
  memoryBytes: 2 ** 34,
  platform: 'linux 6.1 x64',
  node: '20.0.0',
  version: '1.2.3',
  onnxruntime: '1.30.0',
};

const CONTEXT: ReportContext = {
  model: 'resnet20.onnx',
  environment: ENVIRONMENT,
  createdAt: new Date('2026-01-02T03:04:05Z'),
  command: 'onnx-sieve compress resnet20.onnx --flops 0.7',
  separation: [
    { name: 'input', si: 0.25, csi: 0.3, effective: true },
    { name: 'relu1', si: 0.2, csi: 0.4, effective: true },
    { name: 'relu2', si: 0.2, csi: Number.NaN, effective: false },
  ],
};

const RESULT: ReportedResult = {
  before: { parameters: 269722, macs: 40813184, bytes: 1117389, top1: 0.8814, imagesPerSecond: 4210 },
  after: { parameters: 180122, macs: 28113184, bytes: 757389, top1: 0.8532, imagesPerSecond: 5410 },
  speedRatio: 1.284,
  removed: { layers: ['layer1.2'], channels: { conv1: [0, 3] } },
  groups: [
    { id: 'conv1', size: 16, kept: 8 },
    { id: 'conv2', size: 32, kept: 32 },
  ],
  stages: [
    { name: 'profile', top1: 0.8814, seconds: 12.2 },
    { name: 'least-squares re-fit', top1: 0.8532, seconds: 95.3 },
  ],
  notCut: [{ name: 'logits', reason: 'output of the network' }],
  verification: { maxRelativeDifference: 3.2e-7, tolerance: 1e-4, samples: 64 },
  criterion: 'reconstruction',
  calibrationSamples: 2000,
  validationSamples: 5000,
  device: 'cpu',
  seed: 7,
  output: 'small.onnx',
};

/** Checks that every element is closed in order; returns the tags seen. */
function wellFormedTags(page: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  for (const [, slash, name, rest] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b((?:"[^"]*"|[^">])*)>/g)) {
    if (slash === '/') expect(open.pop()).toBe(name);
    else {
      seen.push(name!);
      if (!rest!.trimEnd().endsWith('/') && !['meta', 'br'].includes(name!)) open.push(name!);
    }
  }
  expect(open).toEqual([]);
  return seen;
}

describe('renderHtmlReport', () => {
  const page = renderHtmlReport(RESULT, CONTEXT);

  test('is one complete document that loads and runs nothing', () => {
    const tags = wellFormedTags(page);
    expect(page.startsWith('<!doctype html>')).toBe(true);
    for (const tag of ['script', 'link', 'img', 'iframe', 'object', 'form']) expect(tags).not.toContain(tag);
    expect(page).not.toMatch(/\b(?:src|href)=/);
    expect(page).not.toMatch(/url\(|@import/);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`);
    expect(page).not.toMatch(/undefined|NaN|\[object/);
  });

  test('shows the result, how it was measured and what stayed', () => {
    for (const text of [
      '31.1 % fewer multiply-accumulates',
      '88.14 % → 85.32 % (−2.82 points)',
      '1.28× the speed',
      '66.8 % of before',
      'conv1: 8 of 16 channels kept',
      'layer1.2',
      'least-squares re-fit',
      '1 min 35 s',
      'output of the network',
      'A processor, 8 threads',
      'ONNX Runtime 1.30.0',
      '<dt>Seed</dt><dd>7</dd>',
      'onnx-sieve compress resnet20.onnx --flops 0.7',
      '2026-01-02 03:04 UTC',
      'small.onnx',
    ]) {
      expect(page.replace(/\s+/g, ' ').replace(/> </g, '><')).toContain(text);
    }
    expect(page).not.toContain('The budget was not met');
    expect(renderHtmlReport({ ...RESULT, unmet: 'no smaller network' }, CONTEXT)).toContain('no smaller network');
  });

  test('every chart has a name, and the large ones a description and a table', () => {
    for (const [svg] of page.matchAll(/<svg\b[^>]*>/g)) {
      expect(svg).toMatch(/aria-hidden="true"|role="img"\s+aria-label(?:ledby)?="[^"]+"/);
    }
    for (const [, ids] of page.matchAll(/aria-labelledby="([^"]+)"/g)) {
      for (const id of ids!.split(' ')) expect(page).toContain(`id="${id}"`);
    }
    const charts = page.match(/class="chart"/g)!.length;
    expect(charts).toBe(2);
    expect(page.match(/<summary>Values as a table<\/summary>/g)).toHaveLength(charts);
  });

  test('no text gets out of its place, wherever it comes from', () => {
    const evil = `</title><script>alert(1)</script>"' onload='x' &amp; \u202e\u0000 \${x}`;
    const hostile = renderHtmlReport(
      {
        ...RESULT,
        removed: { layers: [evil], channels: {} },
        groups: [{ id: evil, size: 4, kept: 2 }],
        stages: [{ name: evil, top1: 0.5, seconds: 1 }],
        notCut: Array.from({ length: 5 }, () => ({ name: evil, reason: evil })),
        criterion: evil,
        device: evil,
        unmet: evil,
        output: evil,
      },
      {
        ...CONTEXT,
        model: evil,
        command: evil,
        environment: { ...ENVIRONMENT, cpuModel: evil, platform: evil, version: evil, onnxruntime: evil, node: evil },
        separation: CONTEXT.separation!.map((layer) => ({ ...layer, name: evil })),
      },
    );
    expect(wellFormedTags(hostile)).not.toContain('script');
    expect(hostile).not.toContain('<script');
    expect(hostile).not.toMatch(/[\0\u202e]/);
    expect(hostile).toContain('&lt;script&gt;');
    // No attribute was opened by a quote in a text.
    for (const [tag] of hostile.matchAll(/<[a-z](?:"[^"]*"|[^">])*>/g))
      expect(tag.replace(/"[^"]*"/g, '')).not.toContain('onload');
  });

  test('draws what is there when parts are missing, empty or huge', () => {
    const bare = renderHtmlReport(
      { ...RESULT, groups: [], stages: [], notCut: [], removed: { layers: [], channels: {} } },
      { ...CONTEXT, separation: undefined, command: undefined },
    );
    wellFormedTags(bare);
    expect(bare).not.toContain('class="chart"');
    const groups = Array.from({ length: 500 }, (_, i) => ({ id: `group${i}`, size: 64, kept: i % 2 === 0 ? 64 : 8 }));
    const huge = renderHtmlReport({ ...RESULT, groups }, CONTEXT);
    wellFormedTags(huge);
    expect(huge).toContain('420 more groups are in the table');
    expect(huge).toContain('group499');
    const single = renderHtmlReport(RESULT, { ...CONTEXT, separation: CONTEXT.separation!.slice(0, 1) });
    expect(single).not.toMatch(/NaN|Infinity/);
  });
});

test('markup escapes every hole that is not markup already', () => {
  expect(html`<b>${'<i>'}${html`<i>${'&'}</i>`}${[html`1`, html`2`]}${3}</b>`.markup).toBe(
    '<b>&lt;i&gt;<i>&amp;</i>1\n23</b>',
  );
  expect(escapeHtml(`<>&"'\u0007`)).toBe('&lt;&gt;&amp;&quot;&#39;\ufffd');
});

test('the environment names this machine and the versions in use', () => {
  const environment = describeEnvironment();
  expect(environment.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(environment.node).toBe(process.versions.node);
  expect(environment.onnxruntime).toMatch(/^\d+\.\d+/);
  expect(environment.cpuThreads).toBeGreaterThan(0);
});
