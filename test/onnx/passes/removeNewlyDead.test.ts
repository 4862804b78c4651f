import type { Attribute, Graph, Node } from '../../../src/onnx/ir';
import { removeNewlyDead } from '../../../src/onnx/passes/removeNewlyDead';
import { ModelBuilder } from '../../support/modelBuilder';

function graph(): Graph {
  const model = new ModelBuilder();
  const input = model.input('input', [1, 4]);
  const weight = model.weights([4], undefined, 'weight');
  const scaled = model.node('Neg', [weight], {}, { name: 'scale', outputs: ['scaled'] });
  model.node('Abs', [input], {}, { name: 'useless', outputs: ['unused'] });
  model.output(model.node('Add', [input, scaled], {}, { name: 'add', outputs: ['sum'] }));
  return model.build().graph;
}

function replaceInput(before: Graph, name: string, inputs: readonly string[], more: Partial<Node> = {}): Graph {
  return { ...before, nodes: before.nodes.map((node) => (node.name === name ? { ...node, ...more, inputs } : node)) };
}

test('takes what lost its last reader, and all that only led there', () => {
  const before = graph();
  const after = removeNewlyDead(before, replaceInput(before, 'add', ['input', 'input']));
  expect(after.nodes.map((node) => node.name)).toEqual(['useless', 'add']);
  expect([...after.initializers.keys()]).toEqual([]);
});

test('leaves what was useless before, and what is still read', () => {
  const before = graph();
  const shared = replaceInput(before, 'add', ['weight', 'input']);
  const after = removeNewlyDead(before, shared);
  expect(after.nodes.map((node) => node.name)).toEqual(['useless', 'add']);
  expect([...after.initializers.keys()]).toEqual(['weight']);
  expect(removeNewlyDead(before, before)).toBe(before);
});

test('counts what a subgraph reads', () => {
  const before = graph();
  const branch: Attribute = { kind: 'opaque', type: 'GRAPH', references: ['scaled'], origin: { brand: 'onnx-origin' } };
  const attributes = new Map([['body', branch]]);
  const after = removeNewlyDead(before, replaceInput(before, 'add', ['input', 'input'], { attributes }));
  expect(after.nodes.map((node) => node.name)).toEqual(['scale', 'useless', 'add']);
});

test('takes a useless node along that reads what goes, and the constants that only it read', () => {
  const model = new ModelBuilder();
  const input = model.input('input', [1, 4]);
  const scaled = model.node(
    'Neg',
    [model.weights([4], undefined, 'weight')],
    {},
    { name: 'scale', outputs: ['scaled'] },
  );
  const halved = model.node('Mul', [scaled, model.weights([1], undefined, 'half')], {}, { name: 'useless' });
  model.node('Abs', [halved], {}, { name: 'also useless' });
  model.node('Abs', [model.weights([1], undefined, 'spare')], {}, { name: 'useless by itself' });
  model.output(model.node('Add', [input, scaled], {}, { name: 'add', outputs: ['sum'] }));
  const before = model.build().graph;
  const after = removeNewlyDead(before, replaceInput(before, 'add', ['input', 'input']));
  expect(after.nodes.map((node) => node.name)).toEqual(['useless by itself', 'add']);
  expect([...after.initializers.keys()]).toEqual(['spare']);
});
