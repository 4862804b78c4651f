import type { GraphBuilder, Value } from '../graphBuilder';
import { reshape, transpose } from '../operations';
import { blockedConv } from './blockedConvolution';
import { convolutions, waysBack, type Lowering } from './convolutionCost';
import { convAttributes, outputPadding, type ConvolutionGeometry } from './convolutionGeometry';
import { phaseAxes, phasesToSites, spread, type PhaseAxis } from './convolutionPhases';

/** From the wide side to the narrow one: a Conv's result, a ConvTranspose's input gradient. */
export function toNarrow(
  lowering: Lowering,
  geometry: ConvolutionGeometry,
  wide: Value,
  weight: Value,
  bias?: Value,
): Value {
  const { build, settings, choose } = lowering;
  if (choose(convolutions(settings, geometry)) === 'blocked')
    return blockedConv(build, settings.channelBlock!, geometry, wide, weight, bias);
  return build.emit('Conv', [wide, weight, bias], convAttributes(geometry))[0]!;
}

/**
 * From the narrow side to the wide one: a Conv's input gradient, a ConvTranspose's result without its bias.
 *
 * On the CPU a convolution of stride 1 with the reversed kernel, whose outputs are the phases of the wide side; elsewhere a
 * ConvTranspose.
 */
export function toWide(lowering: Lowering, geometry: ConvolutionGeometry, narrow: Value, weight: Value): Value {
  const { build, settings, choose } = lowering;
  const axes = phaseAxes(geometry);
  const reversed = reversedConvolution(geometry);
  const form = choose(waysBack(settings, geometry, reversed));
  if (form === 'phases' && axes !== undefined && reversed !== undefined) {
    const phases = toNarrow(lowering, reversed, narrow, reversedWeight(build, geometry, axes, weight));
    return phasesToSites(build, axes, phases, geometry.wide);
  }
  const attributes = { ...convAttributes(geometry), output_padding: outputPadding(geometry) };
  return build.emit('ConvTranspose', [narrow, weight], attributes)[0]!;
}

/**
 * The convolution over the narrow side that gives the phases of the wide one; undefined where there is none without leaving
 * out sites before or after.
 */
export function reversedConvolution(geometry: ConvolutionGeometry): ConvolutionGeometry | undefined {
  const axes = phaseAxes(geometry);
  if (axes === undefined) return undefined;
  const { narrow, narrowChannels, wideChannels } = geometry;
  const padsBegin = axes.map(({ taps, dilation, first }) => first + (taps - 1) * dilation);
  const padsEnd = axes.map(({ sites, first }, axis) => sites - first - narrow[axis]!);
  if ([...padsBegin, ...padsEnd].some((pad) => pad < 0)) return undefined;
  return {
    batch: geometry.batch,
    groups: geometry.groups,
    wideChannels: narrowChannels,
    narrowChannels: axes.reduce((count, { phases }) => count * phases, wideChannels),
    wide: narrow,
    narrow: axes.map(({ sites }) => sites),
    kernel: axes.map(({ taps }) => taps),
    strides: axes.map(() => 1),
    dilations: axes.map(({ dilation }) => dilation),
    padsBegin,
    padsEnd,
  };
}

/** [narrow channels, wide channels / groups, ...kernel] as [wide channels · phases, narrow channels / groups, ...taps]. */
function reversedWeight(
  build: GraphBuilder,
  { groups, narrowChannels, wideChannels }: ConvolutionGeometry,
  axes: readonly PhaseAxis[],
  weight: Value,
): Value {
  const rank = axes.length;
  const pairs = axes.flatMap(({ phases, taps }) => [phases, taps]);
  const perGroup = [narrowChannels / groups, wideChannels / groups] as const;
  const grouped = reshape(build, spread(build, axes, weight, true), [groups, ...perGroup, ...pairs]);
  const phaseOrder = axes.map((_, axis) => 3 + 2 * axis);
  const tapOrder = axes.map((_, axis) => 4 + 2 * axis);
  const ordered = transpose(build, grouped, [0, 2, ...phaseOrder, 1, ...tapOrder]);
  const outputs = axes.reduce((count, { phases }) => count * phases, wideChannels);
  return reshape(build, ordered, [outputs, perGroup[0], ...ordered.dims.slice(3 + rank)]);
}
