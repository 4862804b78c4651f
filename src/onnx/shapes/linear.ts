import { intAttribute, stringAttribute } from '../attributes';
import type { Dimension, Shape } from '../ir';
import { broadcastShapes } from './dimensions';
import type { ShapeRule, ShapeRules } from './rule';

const gemm: ShapeRule = (context) => {
  const left = context.shape(0);
  const right = context.shape(1);
  const rows = left?.length === 2 ? left[intAttribute(context.node, 'transA', 0) === 0 ? 0 : 1] : undefined;
  const columns = right?.length === 2 ? right[intAttribute(context.node, 'transB', 0) === 0 ? 1 : 0] : undefined;
  return [[rows, columns]];
};

function matrixProduct(left: Shape, right: Shape): Shape {
  if (left === undefined || right === undefined || left.length === 0 || right.length === 0) return undefined;
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2)]);
  if (batch === undefined) return undefined;
  return [...batch, ...(left.length > 1 ? left.slice(-2, -1) : []), ...(right.length > 1 ? right.slice(-1) : [])];
}

function matMul(rightInput: number): ShapeRule {
  return (context) => [matrixProduct(context.shape(0), context.shape(rightInput))];
}

/** Letters of each operand are looked up in the operand's shape; an ellipsis stands for what is left. */
const einsum: ShapeRule = (context) => {
  const equation = stringAttribute(context.node, 'equation', '').replaceAll(' ', '');
  const [operandText = '', resultText] = equation.split('->');
  const sizes = new Map<string, Dimension>();
  const counts = new Map<string, number>();
  let ellipsis: Shape = [];
  for (const [input, labels] of operandText.split(',').entries()) {
    const shape = context.shape(input);
    if (shape === undefined) return [];
    const [before = '', after] = labels.split('...');
    const hidden = after === undefined ? [] : shape.slice(before.length, shape.length - after.length);
    ellipsis = broadcastShapes([ellipsis, hidden]);
    const letters = [...before, ...hidden.map(() => ''), ...(after ?? '')];
    if (letters.length !== shape.length) return [];
    letters.forEach((letter, axis) => {
      if (letter === '') return;
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
      if (sizes.get(letter) === undefined || sizes.get(letter) === 1) sizes.set(letter, shape[axis]);
    });
  }
  const once = [...counts].filter(([, count]) => count === 1).map(([letter]) => letter);
  const result = resultText ?? `...${once.sort().join('')}`;
  const [before = '', after] = result.split('...');
  const sizeOf = (letter: string) => sizes.get(letter);
  if (ellipsis === undefined) return [];
  return [[...[...before].map(sizeOf), ...(after === undefined ? [] : ellipsis), ...[...(after ?? '')].map(sizeOf)]];
};

export const LINEAR_RULES: ShapeRules = {
  Gemm: gemm,
  MatMul: matMul(1),
  MatMulInteger: matMul(1),
  QLinearMatMul: matMul(3),
  Einsum: einsum,
};
