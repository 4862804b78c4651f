import type { DataType } from '../ir';
import { TensorProto_DataType as Code } from './generated/onnx_pb';

const NAME_OF_CODE: ReadonlyMap<number, DataType> = new Map([
  [Code.FLOAT, 'float32'],
  [Code.UINT8, 'uint8'],
  [Code.INT8, 'int8'],
  [Code.UINT16, 'uint16'],
  [Code.INT16, 'int16'],
  [Code.INT32, 'int32'],
  [Code.INT64, 'int64'],
  [Code.STRING, 'string'],
  [Code.BOOL, 'bool'],
  [Code.FLOAT16, 'float16'],
  [Code.DOUBLE, 'float64'],
  [Code.UINT32, 'uint32'],
  [Code.UINT64, 'uint64'],
  [Code.BFLOAT16, 'bfloat16'],
]);

const CODE_OF_NAME: ReadonlyMap<DataType, number> = new Map([...NAME_OF_CODE].map(([code, name]) => [name, code]));

export function dataTypeOfCode(code: number): DataType {
  return NAME_OF_CODE.get(code) ?? 'other';
}

/** undefined for 'other', whose code only the source message knows. */
export function codeOfDataType(dataType: DataType): number | undefined {
  return CODE_OF_NAME.get(dataType);
}
