const KERNELS = new Set(
  [
    'Abs Add ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvTranspose Cos CumSum DepthToSpace Div',
    'Einsum Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements Gemm GlobalAveragePool GlobalMaxPool Greater',
    'GreaterOrEqual HardSigmoid If InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log MatMul MaxPool',
    'Mul Neg Not Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin',
    'ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Shape Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh',
    'ThresholdedRelu Tile Transpose Unsqueeze Where',
  ].flatMap((line) => line.split(' ')),
);

/**
 * Operators without a kernel in ONNX Runtime's WebGPU provider, which would run on the CPU in the middle of a step. Identity
 * is left out by its optimiser, or is a copy.
 */
export function missingOnWebGpu(operators: readonly string[]): string[] {
  return operators.filter((operator) => !KERNELS.has(operator) && operator !== 'Identity');
}
