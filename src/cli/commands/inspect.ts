import { Command } from 'commander';
import type { InspectResult } from '../../compress/api';
import { formatBytes, formatCount, formatPercent, formatQuantity, shorten } from '../../report/format';
import { addCommonOptions } from '../options';
import type { CommonFlags } from '../options';
import { heading, renderFacts, renderReasons, renderTable } from '../output';
import type { Style } from '../output';
import { verb } from '../verb';

interface InspectRequest {
  readonly model: string;
}

export const inspectVerb = verb<CommonFlags, InspectRequest>({
  define: () =>
    addCommonOptions(
      new Command('inspect')
        .summary('parameters, MACs and layers of a model; what can be cut and why the rest can not')
        .description(
          'Counts the parameters, multiply-accumulates and bytes of a model, lists its layers and channel groups, and says for everything that can not be cut why. Needs no data.',
        )
        .argument('<model>', 'the .onnx file'),
    ).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve inspect model.onnx
  $ onnx-sieve inspect model.onnx --json | jq .macs`,
    ),
  read: ([model]) => ({ model: model! }),
  run: async ({ model }, { signal }) => {
    const { inspect } = await import('../../compress/inspect');
    const result = await inspect(model, { signal });
    return { document: result, text: (style) => renderInspection(result, style) };
  },
});

export function renderInspection(result: InspectResult, style: Style): string {
  const costly = result.layers.filter((layer) => layer.macs > 0);
  const others = result.layers.filter((layer) => layer.macs === 0);
  const otherParameters = others.reduce((sum, layer) => sum + layer.parameters, 0);
  const refused = [
    ...result.groups
      .filter((group) => !group.prunable)
      .map(({ id, reason }) => ({ name: id, reason: reason ?? 'no reason known' })),
    ...costly
      .filter((layer) => !layer.prunable && layer.reason !== undefined)
      .map(({ name, reason }) => ({ name, reason: reason! })),
  ];
  return [
    renderFacts(
      [
        [
          'Parameters',
          `${formatCount(result.parameters)} (and ${formatCount(result.runningStatistics)} running statistics)`,
        ],
        ['MACs per image', `${formatCount(result.macs)} (${formatQuantity(result.macs)})`],
        ['File', `${formatCount(result.bytes)} bytes (${formatBytes(result.bytes)})`],
        [
          'Input',
          result.input === undefined ? 'none found' : `${result.input.name} [${result.input.shape.join(', ')}]`,
        ],
        ['Operator set', String(result.opset)],
        ['Removable', countByKind(result.removable)],
      ],
      style,
    ),
    heading(`Layers (${costly.length})`, style),
    renderTable(
      [
        { title: 'Layer' },
        { title: 'Operator' },
        { title: 'Output' },
        { title: 'Parameters', align: 'right' },
        { title: 'MACs', align: 'right' },
        { title: 'Share', align: 'right' },
        { title: 'Can be cut' },
      ],
      costly.map((layer) => [
        shorten(layer.name, 44),
        layer.op,
        layer.outputShape.join('×'),
        formatCount(layer.parameters),
        formatQuantity(layer.macs),
        result.macs === 0 ? '–' : formatPercent(layer.macs / result.macs, 1),
        layer.prunable ? 'yes' : 'no',
      ]),
      style,
    ),
    others.length === 0
      ? ''
      : style.dim(`and ${others.length} without multiplications, with ${formatCount(otherParameters)} parameters\n`),
    heading(`Channel groups (${result.groups.length})`, style),
    renderTable(
      [
        { title: 'Group' },
        { title: 'Channels', align: 'right' },
        { title: 'Tensors', align: 'right' },
        { title: 'Can be cut' },
      ],
      result.groups.map((group) => [
        shorten(group.id, 60),
        String(group.size),
        String(group.members.length),
        group.prunable ? 'yes' : 'no',
      ]),
      style,
    ),
    refused.length === 0 ? '' : heading('What can not be cut, and why', style) + renderReasons(refused, style),
  ].join('');
}

function countByKind(layers: InspectResult['removable']): string {
  const counts = new Map<string, number>();
  for (const { kind } of layers) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts.size === 0 ? 'none' : [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}
