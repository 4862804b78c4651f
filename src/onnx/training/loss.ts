import type { GraphBuilder, Value } from './graphBuilder';
import * as ops from './operations';

export interface Distillation {
  /** Share of the teacher in the loss, 0 to 1; the labels have the rest. */
  readonly weight: number;
  readonly temperature: number;
}

export interface Loss {
  /** [], mean over the batch. */
  readonly loss: Value;
  /** [], how many samples have their largest logit where the target is largest. */
  readonly correct: Value;
  /** d loss / d logits, of the logits' shape. */
  readonly gradient: Value;
}

interface Distribution {
  readonly probabilities: Value;
  readonly logarithms: Value;
}

/**
 * Cross-entropy of logits [batch, classes] with target rows that sum to 1 (label smoothing and mixing are in them), mixed
 * with distillation (Hinton, Vinyals, Dean 2015): temperature² · KL(teacher ‖ student) of the softened distributions, so
 * that its gradients do not shrink as the temperature grows.
 *
 * The gradients are written in closed form: (softmax − target) / batch, and temperature · (student − teacher) / batch.
 */
export function writeLoss(
  build: GraphBuilder,
  modelLogits: Value,
  targets: Value,
  distillation?: Distillation & { readonly teacherLogits: Value },
): Loss {
  const [batch = 1, classes = 1] = targets.dims;
  const logits = ops.reshape(build, modelLogits, [batch, classes]);
  const labelShare = 1 - (distillation?.weight ?? 0);
  const student = softmax(build, logits);
  const crossEntropy = rowsMean(build, ops.neg(build, ops.mul(build, targets, student.logarithms)), batch);
  let loss = ops.scale(build, crossEntropy, labelShare);
  let gradient = ops.scale(build, ops.sub(build, student.probabilities, targets), labelShare / batch);
  if (distillation !== undefined) {
    const { weight, temperature } = distillation;
    const soften = (values: Value): Distribution => softmax(build, ops.scale(build, values, 1 / temperature));
    const soft = soften(logits);
    const teacher = soften(ops.reshape(build, distillation.teacherLogits, [batch, classes]));
    const difference = ops.sub(build, teacher.logarithms, soft.logarithms);
    const divergence = rowsMean(build, ops.mul(build, teacher.probabilities, difference), batch);
    loss = ops.add(build, loss, ops.scale(build, divergence, weight * temperature * temperature));
    const pull = ops.sub(build, soft.probabilities, teacher.probabilities);
    gradient = ops.add(build, gradient, ops.scale(build, pull, (weight * temperature) / batch));
  }
  return {
    loss,
    correct: countCorrect(build, logits, targets),
    gradient: ops.reshape(build, gradient, modelLogits.dims),
  };
}

/** By rows, from primitives that every provider has. */
function softmax(build: GraphBuilder, logits: Value): Distribution {
  const shifted = ops.sub(build, logits, ops.reduceMax(build, logits, [1], true));
  const exponentials = ops.exp(build, shifted);
  const sum = ops.reduceSum(build, exponentials, [1], true);
  return {
    probabilities: ops.div(build, exponentials, sum),
    logarithms: ops.sub(build, shifted, ops.log(build, sum)),
  };
}

function rowsMean(build: GraphBuilder, terms: Value, batch: number): Value {
  return ops.scale(build, ops.reduceSum(build, terms, [0, 1], false), 1 / batch);
}

function countCorrect(build: GraphBuilder, logits: Value, targets: Value): Value {
  const best = (values: Value): Value =>
    build.emit('ArgMax', [values], { axis: 1, keepdims: 0 }, { dataTypes: ['int64'] })[0]!;
  const equal = build.emit('Equal', [best(logits), best(targets)], {}, { dataTypes: ['bool'] })[0]!;
  return ops.reduceSum(build, ops.cast(build, equal, 'float32'), [0], false);
}
