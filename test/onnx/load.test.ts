import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import { measureCost } from '../../src/onnx/cost';
import { parseModel, readModel } from '../../src/onnx/load';
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  type ModelProto,
} from '../../src/onnx/proto/generated/onnx_pb';
import { applyLinearEdits } from '../../src/onnx/passes/applyLinearEdits';
import { describeLinearLayers } from '../../src/onnx/passes/linearLayers';
import { serializeModel, toModelBytes, writeModel } from '../../src/onnx/save';
import { inferShapes } from '../../src/onnx/shapes';
import { float32Tensor, tensorToFloat32 } from '../../src/onnx/tensor';
import type { Model } from '../../src/onnx/ir';
import { ModelBuilder } from '../support/modelBuilder';
import { codeOf } from '../support/errors';
import { hasPython, onnxProblems } from '../support/python';
import { largestDifference, runModel, sampleInput } from '../support/runtime';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-load-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function classifier(): ModelBuilder {
  const builder = new ModelBuilder();
  const x = builder.input('input', ['N', 3, 8, 8]);
  const features = builder.node('Relu', [builder.conv(x, 3, 16, 3, { pads: [1, 1, 1, 1] }, { name: 'conv' })]);
  const flat = builder.node('Flatten', [builder.node('GlobalAveragePool', [features])]);
  builder.output(builder.gemm(flat, 16, 5, { name: 'fc', outputs: ['logits'] }), ['N', 5]);
  return builder;
}

function edit(bytes: Uint8Array, change: (message: ModelProto) => void): Uint8Array {
  const message = fromBinary(ModelProtoSchema, bytes);
  change(message);
  return toBinary(ModelProtoSchema, message);
}

/** Moves every initializer into `location`, in the folder unless `location` says otherwise. */
function externalize(bytes: Uint8Array, location = 'weights.bin'): { bytes: Uint8Array; data: Uint8Array } {
  const chunks: Uint8Array[] = [];
  let offset = 0;
  const changed = edit(bytes, (message) => {
    for (const tensor of message.graph?.initializer ?? []) {
      const entry = (key: string, value: string | number) =>
        create(StringStringEntryProtoSchema, { key, value: String(value) });
      tensor.externalData = [
        entry('location', location),
        entry('offset', offset),
        entry('length', tensor.rawData.length),
      ];
      tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
      chunks.push(tensor.rawData);
      offset += tensor.rawData.length;
      tensor.rawData = new Uint8Array();
    }
  });
  return { bytes: changed, data: Buffer.concat(chunks) };
}

function changeFirstWeight(model: Model): Model {
  const [[name, tensor] = []] = model.graph.initializers;
  if (name === undefined || tensor === undefined) throw new Error('no weights');
  const data = tensorToFloat32(tensor).map((value) => value * 3);
  const initializers = new Map(model.graph.initializers).set(name, float32Tensor(name, tensor.dims, data, tensor));
  return { ...model, graph: { ...model.graph, initializers } };
}

describe('what is no model', () => {
  const unreadable: [string, (valid: Uint8Array) => Uint8Array][] = [
    ['an empty file', () => new Uint8Array()],
    ['text', () => Buffer.from('this is not a model, but a sentence of some length')],
    ['a PNG', () => Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
    ['a model cut in half', (valid) => valid.subarray(0, valid.length / 2)],
    ['a graph without nodes', (valid) => edit(valid, (message) => message.graph?.node.splice(0))],
    ['no graph', (valid) => edit(valid, (message) => (message.graph = undefined))],
    ['no operator set', (valid) => edit(valid, (message) => message.opsetImport.splice(0))],
    ['nodes out of order', (valid) => edit(valid, (message) => message.graph?.node.reverse())],
    ['an input nobody computes', (valid) => edit(valid, (message) => message.graph?.node.splice(1, 1))],
    ['an output nobody computes', (valid) => edit(valid, (message) => message.graph?.node.pop())],
    [
      'a node without operator',
      (valid) => edit(valid, ({ graph }) => ((graph?.node[0] ?? { opType: '' }).opType = '')),
    ],
    ['weights shorter than their shape', (valid) => edit(valid, ({ graph }) => graph?.initializer[0]?.dims.push(2n))],
    [
      'two initializers of one name',
      (valid) =>
        edit(valid, ({ graph }) => {
          const [first] = graph?.initializer ?? [];
          if (first) graph?.initializer.push(first);
        }),
    ],
    [
      'a negative dimension',
      (valid) =>
        edit(valid, ({ graph }) => {
          const [first] = graph?.initializer ?? [];
          if (first) first.dims[0] = -1n;
        }),
    ],
  ];

  test.each(unreadable)('%s gives ERR_MODEL_UNREADABLE', (_, make) => {
    expect(codeOf(() => parseModel(make(classifier().bytes())))).toBe('ERR_MODEL_UNREADABLE');
  });

  test('truncated or damaged bytes never give anything but a model or ERR_MODEL_*', () => {
    const valid = Buffer.from(classifier().bytes());
    let state = 7;
    const next = (limit: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const outcomes = new Map<unknown, number>();
    const attempt = (bytes: Uint8Array) => {
      const outcome = codeOf(() => {
        const model = parseModel(bytes);
        serializeModel(model);
        const shapes = inferShapes(model);
        measureCost(model, shapes);
        for (const layer of describeLinearLayers(model, shapes)) applyLinearEdits(model, [layer]);
        for (const tensor of model.graph.initializers.values()) tensor.bytes();
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    };
    for (let length = 0; length < valid.length; length += 3) attempt(valid.subarray(0, length));
    for (let round = 0; round < 3000; round += 1) {
      const damaged = Buffer.from(valid);
      for (let changes = 1 + next(8); changes > 0; changes -= 1) damaged[next(damaged.length)] = next(256);
      attempt(damaged);
    }
    for (let round = 0; round < 500; round += 1)
      attempt(Buffer.from(Array.from({ length: next(200) }, () => next(256))));
    const allowed = ['no error', 'ERR_MODEL_UNREADABLE', 'ERR_MODEL_UNSUPPORTED'];
    expect([...outcomes.keys()].filter((outcome) => !allowed.includes(String(outcome)))).toEqual([]);
    expect(outcomes.get('ERR_MODEL_UNREADABLE')).toBeGreaterThan(500);
  });

  test('files that are missing, folders, or broken are named in one line', async () => {
    const broken = join(folder, 'broken.onnx');
    writeFileSync(broken, classifier().bytes().subarray(0, 500));
    for (const path of [join(folder, 'missing.onnx'), folder, broken]) {
      const error: unknown = await readModel(path).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'SieveError', code: 'ERR_MODEL_UNREADABLE' });
      expect((error as Error).message).toContain(path);
      expect((error as Error).message).not.toContain('\n');
    }
  });

  test('an aborted signal cancels', async () => {
    const signal = AbortSignal.abort();
    await expect(readModel(join(folder, 'any.onnx'), { signal })).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});

describe('external data', () => {
  test('is read when needed, from the folder or from memory, and gives the same results', async () => {
    const inline = parseModel(classifier().bytes());
    const { bytes, data } = externalize(classifier().bytes());
    writeFileSync(join(folder, 'model.onnx'), bytes);
    writeFileSync(join(folder, 'weights.bin'), data);
    const fromFile = await readModel(join(folder, 'model.onnx'));
    const fromMemory = parseModel(bytes, { resolveExternal: (name) => (name === 'weights.bin' ? data : undefined) });
    expect(serializeModel(fromFile)).toEqual(Buffer.from(bytes));
    const input = sampleInput([2, 3, 8, 8]);
    const expectedLogits = (await runModel(inline, { input })).get('logits')?.data ?? [];
    for (const model of [fromFile, fromMemory]) {
      expect(toModelBytes(model).externalData).toBeUndefined();
      const logits = (await runModel(model, { input })).get('logits')?.data ?? [];
      expect(largestDifference(logits, expectedLogits)).toBe(0);
    }
  });

  test('a model from bytes alone says what is missing when its weights are asked for', () => {
    const model = parseModel(externalize(classifier().bytes()).bytes);
    const [tensor] = model.graph.initializers.values();
    expect(codeOf(() => tensor?.bytes())).toBe('ERR_MODEL_UNREADABLE');
  });

  test('is kept external: a changed model gets a new data file, the old one stays as it was', async () => {
    const { bytes, data } = externalize(classifier().bytes());
    const path = join(folder, 'model.onnx');
    writeFileSync(path, bytes);
    writeFileSync(join(folder, 'weights.bin'), data);
    const changed = changeFirstWeight(await readModel(path));
    await writeModel(changed, join(folder, 'out.onnx'));
    expect(readFileSync(join(folder, 'weights.bin'))).toEqual(Buffer.from(data));
    const files = readdirSync(folder);
    expect(files.filter((name) => /^out\.onnx\.[0-9a-f]{12}\.data$/.test(name))).toHaveLength(1);
    expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const again = await readModel(join(folder, 'out.onnx'));
    for (const [name, tensor] of changed.graph.initializers)
      expect(again.graph.initializers.get(name)?.bytes()).toEqual(Buffer.from(tensor.bytes()));
    if (hasPython('onnx')) {
      const written = Object.fromEntries(
        readdirSync(folder)
          .filter((name) => name.startsWith('out.onnx'))
          .map((name) => [name, readFileSync(join(folder, name))]),
      );
      // The checker opens every file of the folder as a model; the data file is none.
      const problems = Object.keys(onnxProblems(written));
      expect(problems.filter((name) => name.endsWith('.onnx'))).toEqual([]);
    }
  });

  test('overwriting the source in place keeps the tensors that were not read yet', async () => {
    const { bytes, data } = externalize(classifier().bytes());
    const path = join(folder, 'model.onnx');
    writeFileSync(path, bytes);
    writeFileSync(join(folder, 'weights.bin'), data);
    const source = await readModel(path);
    const before = [...parseModel(classifier().bytes()).graph.initializers.values()].map((tensor) => tensor.bytes());
    await expect(writeModel(source, path)).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    await writeModel(changeFirstWeight(source), path, { force: true });
    expect([...source.graph.initializers.values()].map((tensor) => tensor.bytes())).toEqual(
      before.map((tensor) => new Uint8Array(tensor)),
    );
  });

  test.each(['../outside.bin', '/etc/hostname', 'link.bin', 'sub/../../outside.bin', ''])(
    'a location that leads out of the folder is refused: %s',
    async (location) => {
      const outside = join(folder, '..', 'outside.bin');
      const { bytes } = externalize(classifier().bytes(), location);
      writeFileSync(join(folder, 'model.onnx'), bytes);
      if (location === 'link.bin') symlinkSync('/etc/hostname', join(folder, 'link.bin'));
      await expect(readModel(join(folder, 'model.onnx'))).rejects.toMatchObject({ code: 'ERR_MODEL_UNREADABLE' });
      expect(() => readFileSync(outside)).toThrow();
    },
  );

  test('a data file that is missing or cut short is reported at once', async () => {
    const { bytes, data } = externalize(classifier().bytes());
    writeFileSync(join(folder, 'model.onnx'), bytes);
    const path = join(folder, 'model.onnx');
    await expect(readModel(path)).rejects.toThrow(/weights\.bin.*no such file/);
    writeFileSync(join(folder, 'weights.bin'), data.subarray(0, 100));
    await expect(readModel(path)).rejects.toMatchObject({ code: 'ERR_MODEL_UNREADABLE' });
  });
});

describe('writing', () => {
  test('an existing file is only replaced on request, and the unchanged model is written byte for byte', async () => {
    const path = join(folder, 'out.onnx');
    const bytes = classifier().bytes();
    const model = parseModel(bytes);
    await writeModel(model, path);
    expect(readFileSync(path)).toEqual(Buffer.from(bytes));
    await expect(writeModel(changeFirstWeight(model), path)).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    expect(readFileSync(path)).toEqual(Buffer.from(bytes));
    await writeModel(changeFirstWeight(model), path, { force: true });
    expect(readFileSync(path)).not.toEqual(Buffer.from(bytes));
    await expect(writeModel(model, join(folder, 'none', 'out.onnx'))).rejects.toMatchObject({
      code: 'ERR_OUTPUT_UNWRITABLE',
    });
  });
});
