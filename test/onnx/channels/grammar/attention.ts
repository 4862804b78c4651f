import { clip } from '../dialect';
import { convolution } from './layers';
import { anyMap, pick, push, weight, type Production, type Workshop } from './workshop';

/** A dense layer on tokens [N, places, width]. */
function project({ model, ...workshop }: Workshop, tokens: string, from: number, to: number): string {
  const product = model.node('MatMul', [tokens, weight({ model, ...workshop }, [from, to])]);
  return model.node('Add', [product, weight({ model, ...workshop }, [to])]);
}

/**
 * Self-attention of one or two heads over the places of a map, a residual addition, and a wide layer pair behind it whose
 * hidden width can be cut; what attention multiplies with itself has to stay.
 */
export const attention: Production = (workshop) => {
  const { model, random, dialect } = workshop;
  const from = anyMap(workshop);
  const { channels, size } = from;
  if (size > 4 || channels % 2 !== 0) return convolution(workshop);
  const places = size * size;
  const flat = model.node('Reshape', [from.name, model.ints([0, channels, places])]);
  const tokens = model.node('Transpose', [flat], { perm: [0, 2, 1] });
  const heads = pick(random, [1, 2]);
  const width = channels / heads;
  const perHead = (tensor: string, perm: readonly number[]) => {
    const apart = model.node('Reshape', [tensor, model.ints([0, places, heads, width])]);
    return model.node('Transpose', [apart], { perm });
  };
  const query = perHead(project(workshop, tokens, channels, channels), [0, 2, 1, 3]);
  const key = perHead(project(workshop, tokens, channels, channels), [0, 2, 3, 1]);
  const value = perHead(project(workshop, tokens, channels, channels), [0, 2, 1, 3]);
  const scores = model.node('Div', [model.node('MatMul', [query, key]), model.weights([], [Math.sqrt(width)])]);
  const weights = model.node('Softmax', [scores], { axis: 3 });
  const mixed = model.node('Transpose', [model.node('MatMul', [weights, value])], { perm: [0, 2, 1, 3] });
  const joined = project(
    workshop,
    model.node('Reshape', [mixed, model.ints([0, places, channels])]),
    channels,
    channels,
  );
  const sum = model.node('Add', [tokens, joined]);
  const hidden = clip(dialect, project(workshop, sum, channels, 10), 0, 3);
  const scale = weight(workshop, [channels]);
  const output = model.node('Add', [sum, model.node('Mul', [project(workshop, hidden, 10, channels), scale])]);
  const turned = model.node('Transpose', [output], { perm: [0, 2, 1] });
  push(workshop, model.node('Reshape', [turned, model.ints([0, channels, size, size])]), channels, size);
};
