import type { AnalyzeResult, CompressResult, EvaluatedModel, InspectResult } from '../../src/compress/api';

/** Results of each verb, small enough to check by eye. */
export const INSPECTED: InspectResult = {
  parameters: 269722,
  runningStatistics: 1376,
  macs: 40813184,
  bytes: 1117389,
  opset: 13,
  input: { name: 'input', shape: ['N', 3, 32, 32] },
  layers: [
    { name: 'conv1', op: 'Conv', outputShape: ['N', 16, 32, 32], parameters: 432, macs: 442368, prunable: true },
    { name: 'relu', op: 'Relu', outputShape: ['N', 16, 32, 32], parameters: 0, macs: 0, prunable: false },
    {
      name: 'fc',
      op: 'Gemm',
      outputShape: ['N', 10],
      parameters: 650,
      macs: 640,
      prunable: false,
      reason: 'output of the network',
    },
  ],
  groups: [
    { id: 'conv1_out', size: 16, members: ['conv1_out', 'relu_out'], prunable: true },
    { id: 'slice\u001b[2J', size: 16, members: ['s'], prunable: false, reason: 'zero-padded shortcut' },
  ],
  removable: [
    {
      id: 'residual-block:add',
      kind: 'residual-block',
      name: 'add',
      nodes: ['conv2', 'add'],
      parameters: 4672,
      macs: 40,
    },
    { id: 'tail:relu', kind: 'tail', name: 'relu', nodes: ['conv2'], parameters: 4672, macs: 40 },
    { id: 'tail:add', kind: 'tail', name: 'add', nodes: ['conv3'], parameters: 4672, macs: 40 },
  ],
};

export const ANALYZED: AnalyzeResult = {
  samples: 2000,
  classNames: ['cat', 'dog'],
  device: 'cpu',
  layers: [
    { name: 'input', si: 0.25, csi: 0.3, perClass: [0.2, 0.3], effective: true },
    {
      name: 'relu1',
      si: 0.5,
      csi: 0.75,
      perClass: [0.9, 0.1],
      effective: false,
      filters: { si: [0.1, 0.4, 0.2], csi: [0.1, 0.1, 0.1] },
    },
    ...(['turned1', 'turned2'] as const).map((name) => ({
      ...{ name, si: 0.5, csi: 0.75, perClass: [0.9, 0.1], effective: false },
      filtersSkipped: 'its channels lie along axis 3, not 1',
    })),
  ],
};

export const EVALUATED: EvaluatedModel = {
  samples: 5000,
  top1: 0.8812,
  top5: 0.9942,
  loss: 0.43219,
  perClass: [
    { name: 'cat', samples: 2500, top1: 0.8 },
    { name: 'dog', samples: 2500, top1: 0.9624 },
  ],
  imagesPerSecond: 4210.4,
  latencyMs: { p50: 0.2375, p95: 0.3, p99: 0.41 },
  device: 'cpu',
};

export const COMPRESSED: CompressResult = {
  before: { parameters: 269722, macs: 40813184, bytes: 1117389, top1: 0.8814, imagesPerSecond: 4210 },
  after: { parameters: 180122, macs: 28113184, bytes: 757389, top1: 0.8532, imagesPerSecond: 5410 },
  speedRatio: 1.284,
  removed: { layers: [], channels: { conv1_out: [1, 5] } },
  groups: [
    { id: 'conv1_out', size: 16, kept: 8 },
    { id: 'conv2_out', size: 32, kept: 32 },
  ],
  stages: [
    { name: 'profile', top1: 0.8814, seconds: 12.2 },
    { name: 're-fit', top1: 0.8532, seconds: 95.3 },
  ],
  notCut: Array.from({ length: 6 }, (_, i) => ({ name: `fc${i}`, reason: 'output of the network' })),
  verification: { maxRelativeDifference: 3.2e-7, tolerance: 1e-4, samples: 64 },
  criterion: 'reconstruction',
  calibrationSamples: 2000,
  validationSamples: 5000,
  device: 'cpu',
  seed: 0,
  output: 'small.onnx',
  model: { bytes: Uint8Array.of(1, 2, 3) },
};
