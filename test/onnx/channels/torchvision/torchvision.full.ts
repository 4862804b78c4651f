import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ChannelAnalysis } from '../../../../src/onnx/channels/types';
import type { Model } from '../../../../src/onnx/ir';
import { readModel } from '../../../../src/onnx/load';
import { compareOutputs } from '../../../../src/onnx/passes/checkEquivalence';
import { serializeModel } from '../../../../src/onnx/save';
import { inferShapes } from '../../../../src/onnx/shapes';
import { createRandom } from '../../../../src/random';
import { cutToMacs } from '../cutToMacs';
import { analyze, differenceAfterCut, missingPython, randomInput, randomMask, runModel } from '../support';
import { ARCHITECTURES, variantsOf, type Architecture, type Variant } from './architectures';
import { CHECKER, EXPORTER, type CheckRequest, type ExportRequest } from './exporter';
import { startPython, type PythonService } from './pythonService';

/**
 * Every architecture, with batch normalisation kept and folded, with an open and a fixed batch, in the operator sets 13
 * and 17 (the newest that PyTorch 1.13 writes). Which of them get all checks is said in the test's name; which are taken, in
 * `variantsOf`.
 */
const CASES = ARCHITECTURES.flatMap((architecture) =>
  variantsOf(architecture).map((variant) => ({ ...architecture, ...variant, title: titleOf(architecture, variant) })),
);

function titleOf({ name, hasBatchNorm }: Architecture, { folded, batch, opset, checks }: Variant): string {
  const norm = !hasBatchNorm ? 'no batch norm' : folded ? 'batch norm folded' : 'batch norm kept';
  return `${name}, ${norm}, batch ${batch}, opset ${opset}: ${checks}`;
}

const missing = missingPython('torch, torchvision, onnx');
if (missing !== undefined)
  test('torchvision networks are not checked', () => {
    console.info(`not checked with torchvision: ${missing}`);
    expect(missing).not.toBe('');
  });
else
  describe('torchvision', () => {
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-torchvision-'));
    const requests = new Map<number, Promise<{ readonly path: string }>>();
    let exporter: PythonService<ExportRequest, { readonly path: string }>;
    let checker: PythonService<CheckRequest, { readonly complaint: string }>;
    beforeAll(() => {
      exporter = startPython(EXPORTER);
      checker = startPython(CHECKER);
    });
    // A last export may still be under way.
    afterAll(async () => {
      await Promise.all([exporter.close(), checker.close()]);
      rmSync(folder, { recursive: true, force: true });
    }, 120_000);

    /** The file of a case. The one after it is exported while this one is looked at. */
    function exported(index: number): Promise<{ readonly path: string }> {
      for (const at of [index, index + 1]) {
        const job = CASES[at];
        if (job === undefined || requests.has(at)) continue;
        const { name, options = {}, size, batch, folded, opset } = job;
        const request = exporter.ask({ name, options, size, batch, folded, opset, path: join(folder, `${at}.onnx`) });
        request.catch(() => undefined); // it is awaited, and fails, in its own test
        requests.set(at, request);
      }
      return requests.get(index) ?? Promise.reject(new Error('no such case'));
    }

    test.each(CASES.map((job, index) => ({ ...job, index })))(
      '$title',
      async (job) => {
        const { path } = await exported(job.index);
        try {
          const model = await readModel(path);
          const hasNorm = model.graph.nodes.some(({ opType }) => opType === 'BatchNormalization');
          if (job.hasBatchNorm && !job.folded) expect(hasNorm).toBe(true);
          if (!job.hasBatchNorm) expect(hasNorm).toBe(false);
          const analysis = analyze(model);
          expectReasons(job, analysis);
          for (const fraction of job.checks === 'all' ? [0.3, 0.6] : [0.3]) {
            const complaint = async (cut: Model) => {
              writeFileSync(`${path}-cut`, serializeModel(cut));
              return (await checker.ask({ path: `${path}-cut` })).complaint;
            };
            await expectRightCut(job, model, analysis, fraction, complaint);
          }
          if (job.checks === 'all') {
            const { fraction } = await cutToMacs(model, analysis, 0.5);
            expect(fraction).toBeLessThanOrEqual(0.5);
            expect(fraction).toBeGreaterThan(0.49);
          }
        } finally {
          rmSync(path);
          rmSync(`${path}-cut`, { force: true });
        }
      },
      600_000,
    );
  });

function expectReasons(job: Architecture & Variant, analysis: ChannelAnalysis): void {
  const { name, notCut, reasons, checks, batch } = job;
  const scores = analysis.notCut.filter(({ reason }) => reason === '"output" is an output of the graph');
  expect(scores).toHaveLength(1);
  const others = analysis.notCut.filter((entry) => !scores.includes(entry));
  for (const { reason } of others) expect(reason).toMatch(reasons ?? /^$/);
  expect(others.length + 1).toBe(notCut);
  expect(analysis.groups.some((group) => group.prunable)).toBe(true);
  // The variants of one architecture all say the same.
  if (others.length > 0 && checks === 'all' && batch === 'N')
    console.info(`${name}: not cut\n${others.map((entry) => `  ${entry.name}: ${entry.reason}`).join('\n')}`);
}

async function expectRightCut(
  { size, reasons, batch, checks }: Architecture & Variant,
  model: Model,
  analysis: ChannelAnalysis,
  fraction: number,
  complaintOf: (cut: Model) => Promise<string>,
): Promise<void> {
  const dims = [batch === 'N' ? 2 : 1, 3, size, size];
  const random = createRandom(3);
  const input = randomInput(dims, random);
  const mask = randomMask(analysis, fraction, random);
  const { cut, difference, outputs } = await differenceAfterCut(model, analysis, mask, dims, input);
  expect(difference).toBeLessThanOrEqual(1e-4);
  expect(await complaintOf(cut)).toBe('');
  // What was cut must have mattered, or the comparison says nothing.
  if (checks === 'all') {
    const [before = new Float32Array()] = await runModel(model, dims, input);
    expect(compareOutputs(before, outputs[0] ?? []).relativeDifference).toBeGreaterThan(1e-3);
  }

  const excused = new Set(analysis.notCut.map(({ name }) => name));
  const convolutions = model.graph.nodes.filter(({ opType }) => opType === 'Conv');
  const prunable = convolutions.filter(({ key }) => !excused.has(key));
  const [shapes, cutShapes] = [inferShapes(model), inferShapes(cut)];
  const narrower = prunable.filter(({ outputs: [output = ''] }) => {
    return Number(cutShapes.get(output)?.[1]) < Number(shapes.get(output)?.[1]);
  });
  expect(narrower.length).toBeGreaterThanOrEqual(0.95 * prunable.length);
  if (reasons === undefined) expect(prunable.length).toBeGreaterThanOrEqual(0.95 * convolutions.length);
}
