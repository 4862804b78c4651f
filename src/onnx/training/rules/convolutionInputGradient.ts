import type { GraphBuilder, Value } from '../graphBuilder';
import { convAttributes, outputPadding, type ConvolutionGeometry } from './convolutionGeometry';

/** From the narrow side to the wide one: a Conv's input gradient, a ConvTranspose's result. */
export function toWide(build: GraphBuilder, geometry: ConvolutionGeometry, narrow: Value, weight: Value): Value {
  const attributes = { ...convAttributes(geometry), output_padding: outputPadding(geometry) };
  return build.emit('ConvTranspose', [narrow, weight], attributes)[0]!;
}

/** From the wide side to the narrow one: a ConvTranspose's input gradient. */
export function toNarrow(build: GraphBuilder, geometry: ConvolutionGeometry, wide: Value, weight: Value): Value {
  return build.emit('Conv', [wide, weight], convAttributes(geometry))[0]!;
}
