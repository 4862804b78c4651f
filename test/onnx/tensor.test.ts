import type { DataType, Tensor } from '../../src/onnx/ir';
import { float32Tensor, int64Tensor, rawTensor, tensorToFloat32, tensorToNumbers } from '../../src/onnx/tensor';
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProtoSchema } from '../../src/onnx/proto/generated/onnx_pb';
import { parseModel } from '../../src/onnx/load';
import { codeOf } from '../support/errors';
import { hasPython, runPython } from '../support/python';

function ofType(dataType: DataType, dims: readonly number[]): Tensor {
  const size = { float16: 2, bfloat16: 2, float64: 8, float32: 4 }[dataType as 'float16'];
  return rawTensor('like', dims, dataType, new Uint8Array(dims.reduce((a, b) => a * b, 1) * size));
}

/** Every float16 bit pattern, and doubles around each rounding boundary of both half types. */
test('float16 agrees with numpy in both directions, bit for bit', () => {
  if (!hasPython('numpy')) return;
  const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const all = rawTensor('all', [65536], 'float16', new Uint8Array(patterns.buffer));
  const widened = tensorToFloat32(all);
  const samples = Float32Array.from(
    Array.from({ length: 65535 }, (_, index) => index).flatMap((index) => {
      const value = widened[index] ?? 0;
      const following = widened[index + 1] ?? 0;
      return [
        value,
        (value + following) / 2,
        value + (following - value) * 0.49999,
        value + (following - value) * 0.50001,
      ];
    }),
  );
  const narrowed = float32Tensor('x', [samples.length], samples, ofType('float16', [1]));
  const script = `
import sys, json, numpy as np
f = sys.argv[1]
half = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
own = np.fromfile(f + '/widened', dtype=np.float32)
same = (own.view(np.uint32) == half.view(np.uint32)) | (np.isnan(own) & np.isnan(half))
s = np.fromfile(f + '/samples', dtype=np.float32)
with np.errstate(over='ignore'): reference = s.astype(np.float16)
bits = np.fromfile(f + '/narrowed', dtype=np.uint16)
equal = (bits == reference.view(np.uint16)) | (np.isnan(reference) & np.isnan(bits.view(np.float16)))
print(json.dumps({'widened': int((~same).sum()), 'narrowed': int((~equal).sum()), 'count': len(s)}))`;
  const files = {
    widened: new Uint8Array(widened.buffer),
    samples: new Uint8Array(samples.buffer),
    narrowed: narrowed.bytes(),
  };
  expect(runPython(script, files)).toEqual({ widened: 0, narrowed: 0, count: samples.length });
});

test('bfloat16 is the upper half of float32, rounded to nearest even', () => {
  const values = [1, -2.5, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 3.4e38, Infinity, -0, 1e-40];
  const tensor = float32Tensor('x', [values.length], values, ofType('bfloat16', [1]));
  const bits = new Uint16Array(new Uint8Array(tensor.bytes()).buffer);
  const hex = Array.from(bits, (word) => word.toString(16).padStart(4, '0'));
  expect(hex).toEqual(['3f80', 'c020', '3f80', '3f82', '3f81', '7f80', '7f80', '8000', '0001']);
  expect(Array.from(tensorToFloat32(tensor)).slice(0, 4)).toEqual([1, -2.5, 1, 1 + 2 ** -6]);
  const nan = float32Tensor('nan', [1], [NaN], ofType('bfloat16', [1]));
  expect(tensorToFloat32(nan)[0]).toBeNaN();
});

test.each<DataType>(['float32', 'float16', 'bfloat16', 'float64'])('%s keeps its type when edited', (dataType) => {
  const values = [0.5, -1.25, 2, 3];
  const tensor = float32Tensor('x', [2, 2], values, ofType(dataType, [4]));
  expect(tensor.dataType).toBe(dataType);
  expect(Array.from(tensorToFloat32(tensor))).toEqual(values);
});

test('typed fields hold the same values as raw bytes, for every type', () => {
  const cases: [DataType, number, object, number[]][] = [
    ['float32', 1, { floatData: [1.5, -2] }, [1.5, -2]],
    ['uint8', 2, { int32Data: [0, 255] }, [0, 255]],
    ['int8', 3, { int32Data: [-128, 127] }, [-128, 127]],
    ['uint16', 4, { int32Data: [0, 65535] }, [0, 65535]],
    ['int16', 5, { int32Data: [-32768, 7] }, [-32768, 7]],
    ['int32', 6, { int32Data: [-(2 ** 31), 7] }, [-(2 ** 31), 7]],
    ['int64', 7, { int64Data: [-5n, 2n ** 40n] }, [-5, 2 ** 40]],
    ['bool', 9, { int32Data: [1, 0] }, [1, 0]],
    ['float16', 10, { int32Data: [0x3c00, 0xc000] }, [1, -2]],
    ['float64', 11, { doubleData: [0.25, -1] }, [0.25, -1]],
    ['uint32', 12, { uint64Data: [2n ** 32n - 1n, 0n] }, [2 ** 32 - 1, 0]],
    ['uint64', 13, { uint64Data: [2n ** 50n, 1n] }, [2 ** 50, 1]],
    ['bfloat16', 16, { int32Data: [0x3f80, 0xc000] }, [1, -2]],
  ];
  const bytes = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      opsetImport: [{ version: 13n }],
      graph: {
        node: [{ opType: 'Relu', input: ['x'], output: ['y'] }],
        input: [{ name: 'x' }],
        initializer: cases.map(([name, dataType, data]) =>
          create(TensorProtoSchema, { name, dataType, dims: [2n], ...data }),
        ),
      },
    }),
  );
  const { initializers } = parseModel(bytes).graph;
  for (const [name, , , values] of cases) {
    const tensor = initializers.get(name);
    expect({ name, type: tensor?.dataType }).toEqual({ name, type: name });
    expect({ name, values: tensor && tensorToNumbers(tensor) }).toEqual({ name, values });
  }
});

test('wrong lengths and types are refused', () => {
  expect(codeOf(() => float32Tensor('x', [3], [1, 2]))).toBe('ERR_SHAPE');
  expect(codeOf(() => tensorToFloat32(int64Tensor('x', [1], [1])))).toBe('ERR_MODEL_UNSUPPORTED');
  expect(codeOf(() => rawTensor('x', [2], 'float32', new Uint8Array(7)))).toBe('ERR_SHAPE');
});
