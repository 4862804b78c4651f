export { inferShapes, inferShapesAndValues, type InferOptions, type Inference, type ShapeMap } from './inferShapes';
export type { PartialValue } from './partialValue';
