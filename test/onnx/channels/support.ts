import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import * as ort from 'onnxruntime-node';

import { analyzeChannels } from '../../../src/onnx/channels/analyze';
import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import type { Attribute, Model, Tensor } from '../../../src/onnx/ir';
import { compareOutputs } from '../../../src/onnx/passes/checkEquivalence';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { maskChannels } from '../../../src/onnx/passes/maskChannels';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import type { Random } from '../../../src/random';
import type { ChannelMask } from '../../../src/types';

ort.env.logLevel = 'fatal';

export function analyze(model: Model): ChannelAnalysis {
  return analyzeChannels(model, inferShapes(model));
}

/**
 * Runs a model on one thread; `dims` is the shape of its only true input. Graph optimisations are off: ONNX Runtime
 * fuses a Pad with zeros into the MaxPool behind it, which then pads with −∞, in the cut graph but not in the masked.
 */
export async function runModel(model: Model, dims: readonly number[], input: Float32Array): Promise<Float32Array[]> {
  const session = await ort.InferenceSession.create(serializeModel(model), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
  });
  try {
    const [info] = model.graph.inputs;
    const results = await session.run({ [info?.name ?? '']: new ort.Tensor('float32', input, dims) });
    return model.graph.outputs.map((output) => results[output.name]?.data as Float32Array);
  } finally {
    await session.release();
  }
}

export function randomInput(dims: readonly number[], random: Random): Float32Array {
  return Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, () => 2 * random.uniform() - 1);
}

/** Removes each slot of each prunable group with probability `fraction`; every member tensor keeps at least one. */
export function randomMask(analysis: ChannelAnalysis, fraction: number, random: Random): ChannelMask {
  const removed = new Map<string, Set<number>>();
  for (const group of analysis.groups) {
    if (!group.prunable) continue;
    const slots = Array.from({ length: group.size }, (_, slot) => slot).filter(() => random.uniform() < fraction);
    removed.set(group.id, new Set(slots));
  }
  const left = new Map<string, { kept: number; slots: { group: string; slot: number }[] }>();
  for (const group of analysis.groups)
    for (const member of group.members) {
      const entry = left.get(member.tensor) ?? { kept: member.slots.length, slots: [] };
      for (const slot of member.slots)
        if (slot >= 0 && removed.get(group.id)?.has(slot)) {
          entry.kept--;
          entry.slots.push({ group: group.id, slot });
        }
      left.set(member.tensor, entry);
    }
  for (const { kept, slots } of left.values()) {
    const first = slots[0];
    if (kept === 0 && first !== undefined && slots.every(({ group, slot }) => removed.get(group)?.has(slot)))
      removed.get(first.group)?.delete(first.slot);
  }
  const mask: Record<string, number[]> = {};
  for (const group of analysis.groups) {
    const slots = removed.get(group.id);
    if (slots === undefined || slots.size === 0) continue;
    for (const member of membersShowingAll(group.members, slots))
      mask[member.tensor] = member.slots.flatMap((slot, position) => (slots.has(slot) ? [position] : []));
  }
  return mask;
}

/** A few members that together show all the slots; a concatenated tensor is left alone, as it shows other groups too. */
function membersShowingAll(members: ChannelAnalysis['groups'][number]['members'], slots: ReadonlySet<number>) {
  const missing = new Set(slots);
  const chosen = [];
  for (const member of members) {
    if (member.slots.includes(-1) || !member.slots.some((slot) => missing.has(slot))) continue;
    for (const slot of member.slots) missing.delete(slot);
    chosen.push(member);
  }
  return chosen;
}

/** Cuts, masks, runs both and gives the largest relative difference of all outputs. */
export async function differenceAfterCut(
  model: Model,
  analysis: ChannelAnalysis,
  mask: ChannelMask,
  dims: readonly number[],
  from: Random | Float32Array,
): Promise<{ readonly cut: Model; readonly difference: number; readonly outputs: Float32Array[] }> {
  const input = from instanceof Float32Array ? from : randomInput(dims, from);
  const cut = cutChannels(model, analysis, mask);
  const outputs = await runModel(cut, dims, input);
  const reference = await runModel(maskChannels(model, analysis, mask), dims, input);
  return { cut, difference: largestOf(reference, outputs), outputs };
}

/** The largest relative difference of all outputs of two models. */
export async function largestDifference(
  reference: Model,
  actual: Model,
  dims: readonly number[],
  input: Float32Array,
): Promise<number> {
  return largestOf(await runModel(reference, dims, input), await runModel(actual, dims, input));
}

function largestOf(reference: readonly Float32Array[], actual: readonly Float32Array[]): number {
  return Math.max(
    ...reference.map((values, index) => compareOutputs(values, actual[index] ?? new Float32Array()).relativeDifference),
  );
}

const PYTHON = '/usr/bin/python3';

/** Why a check with Debian's Python can not be made; undefined where it can. */
export function missingPython(modules: string): string | undefined {
  if (!existsSync(PYTHON)) return `${PYTHON} is not there`;
  try {
    execFileSync(PYTHON, ['-c', `import ${modules}`], { stdio: 'pipe' });
    return undefined;
  } catch {
    return `${PYTHON} has no ${modules}`;
  }
}

/** Runs a Python program and gives what it prints. `lines` are its standard input. */
function runPython(program: string, lines: readonly string[]): string {
  return execFileSync(PYTHON, ['-c', program], { encoding: 'utf8', input: lines.join('\n') });
}

/** Debian's onnx knows operator sets up to this one. */
export const NEWEST_CHECKED_OPSET = 17;

const CHECKER = `
import onnx, sys
for path in sys.stdin.read().split('\\n'):
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        print(path, str(error).split('\\n')[0])
`;

/** What the ONNX checker, with full shape inference, says against the files: nothing where all are valid. */
export function complaintsOfOnnx(paths: readonly string[]): string {
  return runPython(CHECKER, paths);
}

/** A graph as text, constants given by what they hold: equal for graphs that differ in the names of constants only. */
export function canonicalGraph({ graph }: Model): string {
  const nodes = graph.nodes.map((node) => {
    const inputs = node.inputs.map((name) => {
      const tensor = graph.initializers.get(name);
      return tensor === undefined ? name : describeTensor(tensor);
    });
    const attributes = [...node.attributes]
      .map(([key, attribute]) => [key, describeAttribute(attribute)])
      .sort(([left], [right]) => (String(left) < String(right) ? -1 : 1));
    return [node.opType, inputs, node.outputs, attributes];
  });
  return JSON.stringify([nodes, [...graph.valueInfo.values()].map((info) => [info.name, info.shape])]);
}

/** Files hold floating-point attributes in single precision. */
function describeAttribute(attribute: Attribute): unknown {
  if (attribute.kind === 'tensor') return describeTensor(attribute.value);
  if (attribute.kind === 'float') return Math.fround(attribute.value);
  return attribute.kind === 'floats' ? attribute.value.map(Math.fround) : attribute;
}

function describeTensor(tensor: Tensor): unknown {
  return [tensor.dataType, tensor.dims, Buffer.from(tensor.bytes()).toString('base64')];
}
