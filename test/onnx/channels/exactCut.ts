import type { ChannelGroup } from '../../../src/onnx/channels/types';
import type { Model } from '../../../src/onnx/ir';
import { tensorToNumbers } from '../../../src/onnx/tensor';
import { createRandom } from '../../../src/random';
import type { ChannelMask } from '../../../src/types';
import { ModelBuilder } from '../../support/modelBuilder';
import { analyze, differenceAfterCut } from './support';

export const INPUT_DIMS = [2, 3, 8, 8];

/** A network in which `between` sees a convolution's output "x" [N, 6, 8, 8] and gives what a second one reads. */
export function network(
  between: (model: ModelBuilder, x: string) => readonly [tensor: string, channels: number],
  { batch = 'N', ...options }: ConstructorParameters<typeof ModelBuilder>[0] & { readonly batch?: 'N' | 2 } = {},
): Model {
  const model = new ModelBuilder({ opset: 13, ...options });
  const input = model.input('input', [batch, 3, 8, 8]);
  const x = model.conv(input, 3, 6, 3, { pads: [1, 1, 1, 1] }, { name: 'first', outputs: ['x'] });
  const [tensor, channels] = between(model, x);
  model.output(model.conv(tensor, channels, 2, 1, {}, { name: 'last', outputs: ['y'] }));
  return model.build();
}

export function groupOf(model: Model, id = 'x'): ChannelGroup | undefined {
  return analyze(model).groups.find((group) => group.id === id);
}

export async function expectExactCut(model: Model, mask: ChannelMask): Promise<Model> {
  const { cut, difference } = await differenceAfterCut(model, analyze(model), mask, INPUT_DIMS, createRandom(1));
  expect(difference).toBeLessThanOrEqual(1e-4);
  return cut;
}

export function valuesOf(model: Model, name: string | undefined): number[] | undefined {
  const tensor = model.graph.initializers.get(name ?? '');
  return tensor === undefined ? undefined : tensorToNumbers(tensor);
}

export function nodeOf(model: Model, name: string) {
  return model.graph.nodes.find((node) => node.name === name);
}
