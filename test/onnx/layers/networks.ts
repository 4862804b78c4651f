import type { Model } from '../../../src/onnx/ir';
import { ModelBuilder } from '../../support/modelBuilder';

/** Small networks, one of each family, on images [N, 3, 8, 8] with five classes. */

export const DIMS = [2, 3, 8, 8];
const SAME = { pads: [1, 1, 1, 1] };

/** Names nodes and tensors so that tests can say what they mean. */
class Network extends ModelBuilder {
  named(opType: string, inputs: readonly string[], name: string, attributes = {}): string {
    return this.node(opType, inputs, attributes, { name, outputs: [`${name}:0`] });
  }

  layer(input: string, inputs: number, outputs: number, name: string, kernel = 3, attributes = {}): string {
    const padding = kernel === 3 ? SAME : {};
    const made = this.conv(
      input,
      inputs,
      outputs,
      kernel,
      { ...padding, ...attributes },
      { name, outputs: [`${name}:0`] },
    );
    return this.batchNorm(made, outputs, { name: `${name}_bn`, outputs: [`${name}_bn:0`] });
  }

  relu(input: string, name: string): string {
    return this.named('Relu', [input], name);
  }

  head(input: string, channels: number): Model {
    const pooled = this.named('GlobalAveragePool', [input], 'pool');
    const flat = this.named('Flatten', [pooled], 'flat', { axis: 1 });
    this.output(this.gemm(flat, channels, 5, { name: 'classifier', outputs: ['logits'] }), ['N', 5]);
    return this.build();
  }
}

function start(opset = 17): { network: Network; stem: string } {
  const network = new Network({ opset });
  const input = network.input('input', ['N', 3, 8, 8]);
  return { network, stem: network.relu(network.layer(input, 3, 8, 'stem'), 'stem_relu') };
}

/** Basic blocks: two with the identity, one with a projection, one whose shortcut is sliced and padded. */
export function residual(): Model {
  const { network, stem } = start();
  const block = (
    input: string,
    inputs: number,
    outputs: number,
    name: string,
    shortcut: string,
    stride = 1,
  ): string => {
    const first = network.relu(
      network.layer(input, inputs, outputs, `${name}_conv1`, 3, { strides: [stride, stride] }),
      `${name}_relu1`,
    );
    const second = network.layer(first, outputs, outputs, `${name}_conv2`);
    return network.relu(network.named('Add', [second, shortcut], `${name}_add`), `${name}_relu`);
  };
  const a = block(stem, 8, 8, 'a', stem);
  const b = block(a, 8, 8, 'b', a);
  const projection = network.layer(b, 8, 12, 'c_projection', 1, { strides: [2, 2] });
  const c = block(b, 8, 12, 'c', projection, 2);
  const every = { starts: [0, 0], ends: [100, 100], axes: [2, 3], steps: [2, 2] };
  const operands = Object.values(every).map((values) => network.ints(values));
  const sliced = network.named('Slice', [c, ...operands], 'd_slice');
  const padded = network.named('Pad', [sliced, network.ints([0, 2, 0, 0, 0, 2, 0, 0])], 'd_pad');
  return network.head(block(c, 12, 16, 'd', padded, 2), 16);
}

/** Normalisation and activation before the convolution; the projection reads what they give. */
export function preActivation(): Model {
  const { network, stem } = start();
  const before = (input: string, channels: number, name: string): string =>
    network.relu(network.batchNorm(input, channels, { name, outputs: [`${name}:0`] }), `${name}_relu`);
  const a1 = network.conv(before(stem, 8, 'a_bn1'), 8, 8, 3, SAME, { name: 'a_conv1', outputs: ['a_conv1:0'] });
  const a2 = network.conv(before(a1, 8, 'a_bn2'), 8, 8, 3, SAME, { name: 'a_conv2', outputs: ['a_conv2:0'] });
  const a = network.named('Add', [stem, a2], 'a_add');
  const shared = before(a, 8, 'b_bn1');
  const projected = network.conv(shared, 8, 12, 1, {}, { name: 'b_projection', outputs: ['b_projection:0'] });
  const b1 = network.conv(shared, 8, 12, 3, SAME, { name: 'b_conv1', outputs: ['b_conv1:0'] });
  const b2 = network.conv(before(b1, 12, 'b_bn2'), 12, 12, 3, SAME, { name: 'b_conv2', outputs: ['b_conv2:0'] });
  const b = network.named('Add', [projected, b2], 'b_add');
  return network.head(before(b, 12, 'last'), 12);
}

/** An inverted residual with squeeze-and-excite and SiLU, and one that changes the width. */
export function invertedResidual(): Model {
  const { network, stem } = start();
  const silu = (input: string, name: string): string =>
    network.named('Mul', [input, network.named('Sigmoid', [input], `${name}_sigmoid`)], name);
  const block = (input: string, inputs: number, outputs: number, name: string): string => {
    const wide = silu(network.layer(input, inputs, 16, `${name}_expand`, 1), `${name}_silu1`);
    const depthwise = silu(network.layer(wide, 16, 16, `${name}_depthwise`, 3, { group: 16 }), `${name}_silu2`);
    const pooled = network.named('GlobalAveragePool', [depthwise], `${name}_squeeze`);
    const reduced = network.relu(
      network.conv(pooled, 16, 4, 1, {}, { name: `${name}_reduce`, outputs: [`${name}_reduce:0`] }),
      `${name}_reduced`,
    );
    const raised = network.conv(reduced, 4, 16, 1, {}, { name: `${name}_raise`, outputs: [`${name}_raise:0`] });
    const gate = network.named('Sigmoid', [raised], `${name}_gate`);
    return network.layer(network.named('Mul', [depthwise, gate], `${name}_excite`), 16, outputs, `${name}_project`, 1);
  };
  const a = network.named('Add', [stem, block(stem, 8, 8, 'a')], 'a_add');
  return network.head(block(a, 8, 12, 'b'), 12);
}

/** A dense block of three layers with normalisation right behind each Concat, and a transition. */
export function dense(): Model {
  const { network, stem } = start();
  const features = [stem];
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const width = 8 + 4 * index;
    const joined = index === 0 ? stem : network.named('Concat', [...features], `${name}_concat`, { axis: 1 });
    const normal = network.batchNorm(joined, width, { name: `${name}_bn`, outputs: [`${name}_bn:0`] });
    const grown = network.conv(network.relu(normal, `${name}_relu`), width, 4, 3, SAME, {
      name,
      outputs: [`${name}:0`],
    });
    features.push(grown);
  }
  const joined = network.named('Concat', features, 'transition_concat', { axis: 1 });
  const normal = network.batchNorm(joined, 20, { name: 'transition_bn', outputs: ['transition_bn:0'] });
  const narrow = network.conv(
    network.relu(normal, 'transition_relu'),
    20,
    10,
    1,
    {},
    {
      name: 'transition',
      outputs: ['transition:0'],
    },
  );
  return network.head(network.relu(narrow, 'transition_out'), 10);
}

/** Two modules of parallel branches, one of the shape of its input; a branch that only pools; a Concat in a Concat. */
export function inception(opset?: number): Model {
  const { network, stem } = start(opset);
  const branch = (input: string, inputs: number, outputs: number, name: string, kernel = 1): string =>
    network.relu(network.layer(input, inputs, outputs, name, kernel), `${name}_relu`);
  const split = branch(stem, 8, 4, 'a_split');
  const inner = network.named('Concat', [branch(split, 4, 2, 'a_left'), branch(split, 4, 2, 'a_right', 3)], 'a_inner', {
    axis: 1,
  });
  const a = network.named('Concat', [branch(stem, 8, 4, 'a_plain'), inner], 'a_concat', { axis: 1 });
  const pooled = network.named('MaxPool', [a], 'b_pool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
  const b = network.named('Concat', [branch(a, 8, 6, 'b_wide', 3), pooled], 'b_concat', { axis: 1 });
  return network.head(b, 14);
}

/** Convolutions in a row and three fully connected layers. */
export function sequential(opset?: number): Model {
  const { network, stem } = start(opset);
  const same = network.relu(network.layer(stem, 8, 8, 'same'), 'same_relu');
  const wider = network.relu(network.layer(same, 8, 12, 'wider'), 'wider_relu');
  const pooled = network.named('MaxPool', [wider], 'max_pool', { kernel_shape: [2, 2], strides: [2, 2] });
  const last = network.relu(network.layer(pooled, 12, 12, 'last'), 'last_relu');
  const flat = network.named('Flatten', [last], 'flat', { axis: 1 });
  const full1 = network.relu(network.gemm(flat, 192, 20, { name: 'full1', outputs: ['full1:0'] }), 'full1_relu');
  const full2 = network.relu(network.gemm(full1, 20, 20, { name: 'full2', outputs: ['full2:0'] }), 'full2_relu');
  network.output(network.gemm(full2, 20, 5, { name: 'full3', outputs: ['logits'] }), ['N', 5]);
  return network.build();
}

/** Depthwise convolution, layer normalisation and a two-layer perceptron on channels that were moved to the end. */
export function convNext(): Model {
  const { network, stem } = start();
  const depthwise = network.conv(stem, 8, 8, 3, { ...SAME, group: 8 }, { name: 'depthwise', outputs: ['depthwise:0'] });
  const moved = network.named('Transpose', [depthwise], 'move', { perm: [0, 2, 3, 1] });
  const normal = network.node(
    'LayerNormalization',
    [moved, network.weights([8]), network.weights([8])],
    { axis: -1 },
    { name: 'norm', outputs: ['norm:0'] },
  );
  const raised = network.named(
    'Add',
    [network.named('MatMul', [normal, network.weights([8, 32])], 'mlp1'), network.weights([32])],
    'mlp1_bias',
  );
  const active = network.named('Mul', [raised, network.named('Sigmoid', [raised], 'mlp_sigmoid')], 'mlp_silu');
  const lowered = network.named(
    'Add',
    [network.named('MatMul', [active, network.weights([32, 8])], 'mlp2'), network.weights([8])],
    'mlp2_bias',
  );
  const scaled = network.named('Mul', [lowered, network.weights([8])], 'layer_scale');
  const back = network.named('Transpose', [scaled], 'move_back', { perm: [0, 3, 1, 2] });
  return network.head(network.named('Add', [back, stem], 'block_add'), 8);
}
