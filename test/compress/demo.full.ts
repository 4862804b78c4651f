import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runDemo } from '../../src/compress/demo';
import { compareModels } from '../../src/compress/evaluate';

jest.setTimeout(15 * 60_000);

test('the demo halves the network, recovers most of what cutting loses, and beats plain rankings', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onnx-sieve-demo-'));
  try {
    const stages = new Set<string>();
    const { compression, comparison, files } = await runDemo({
      outputDirectory: folder,
      device: 'cpu',
      threads: 2,
      onProgress: ({ stage }) => stages.add(stage),
    });
    const { before, after } = compression;
    expect(after.macs / before.macs).toBeLessThanOrEqual(0.5);
    expect(before.top1).toBeGreaterThan(0.92);
    expect(after.top1).toBeGreaterThan(before.top1 - 0.08);
    expect([...stages]).toEqual(expect.arrayContaining(['render test images', 'compare']));

    expect(comparison.map(({ criterion }) => criterion)).toEqual([compression.criterion, 'l1', 'random']);
    const [chosen, l1, random] = comparison;
    expect(chosen!.top1BeforeRecovery).toBeLessThan(0.5);
    expect(chosen!.top1).toBeGreaterThan(l1!.top1 - 0.01);
    expect(chosen!.top1).toBeGreaterThan(random!.top1 + 0.02);

    for (const file of Object.values(files)) expect((await stat(file)).size).toBeGreaterThan(100);
    expect(await readFile(files.report, 'utf8')).toMatch(/^<!doctype html>/i);

    const { models } = await compareModels(files.original, files.compressed, {
      data: files.test,
      device: 'cpu',
      threads: 2,
    });
    expect(models[0].top1).toBeCloseTo(before.top1, 6);
    expect(models[1].top1).toBeCloseTo(after.top1, 6);
  } finally {
    await rm(folder, { recursive: true });
  }
});
