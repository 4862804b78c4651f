export interface Architecture {
  readonly name: string;
  readonly size: number;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly hasBatchNorm: boolean;
  /** Linear layers whose outputs can not be cut; 1 is the layer of the class scores alone. */
  readonly notCut: number;
  /** What their reasons may be, beside being class scores. */
  readonly reasons?: RegExp;
}

/** Options that leave out the auxiliary classifiers, which only training uses. */
export const AUXILIARY = { aux_logits: false, init_weights: false };
/** Layer normalisation mixes the channels of the trunk; attention multiplies what it computes. */
const TRUNK =
  /normalises across the channels|whose channels are fixed|an input that stays whole|reduces over the channels|multiplies two computed tensors|mixes the channels/;

export const ARCHITECTURES: readonly Architecture[] = [
  { name: 'alexnet', size: 224, hasBatchNorm: false, notCut: 1 },
  { name: 'vgg11', size: 224, hasBatchNorm: false, notCut: 1 },
  { name: 'vgg16_bn', size: 224, hasBatchNorm: true, notCut: 1 },
  { name: 'resnet18', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'resnet50', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'wide_resnet50_2', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'resnext50_32x4d', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'densenet121', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'googlenet', size: 64, options: AUXILIARY, hasBatchNorm: true, notCut: 1 },
  { name: 'inception_v3', size: 96, options: AUXILIARY, hasBatchNorm: true, notCut: 1 },
  { name: 'squeezenet1_1', size: 64, hasBatchNorm: false, notCut: 1 },
  { name: 'mobilenet_v2', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'mobilenet_v3_large', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'mnasnet1_0', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'shufflenet_v2_x1_0', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'efficientnet_b0', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'efficientnet_v2_s', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'regnet_x_400mf', size: 64, hasBatchNorm: true, notCut: 1 },
  { name: 'regnet_y_400mf', size: 64, hasBatchNorm: true, notCut: 1 },
  // The wide layers inside the blocks can be cut.
  { name: 'convnext_tiny', size: 64, hasBatchNorm: false, notCut: 41, reasons: TRUNK },
  { name: 'vit_b_16', size: 64, options: { image_size: 64 }, hasBatchNorm: false, notCut: 38, reasons: TRUNK },
  { name: 'swin_t', size: 224, hasBatchNorm: false, notCut: 41, reasons: TRUNK },
];

export interface Variant {
  readonly folded: boolean;
  readonly batch: 'N' | 1;
  readonly opset: 13 | 17;
  /** All checks at both fractions and the cut to half the MACs; else one cut, compared and checked. */
  readonly checks: 'all' | 'one cut';
}

/** Two opposite corners get all checks: between them they see every choice. The other files differ in one choice each. */
const VARIANTS: readonly Variant[] = [true, false].flatMap((folded) =>
  (['N', 1] as const).flatMap((batch) =>
    ([13, 17] as const).map((opset): Variant => {
      const corner = folded && batch === 'N' && opset === 13;
      const opposite = !folded && batch === 1 && opset === 17;
      return { folded, batch, opset, checks: corner || opposite ? 'all' : 'one cut' };
    }),
  ),
);

/**
 * A dynamic batch comes with operator set 13 and a fixed one with 17, half of the files. SIEVE_TEST_EVERY_CHECK=1 takes
 * all files and gives all checks to each, which takes most of an hour.
 */
export function variantsOf(architecture: Architecture): readonly Variant[] {
  const variants = everyVariantOf(architecture);
  return process.env.SIEVE_TEST_EVERY_CHECK === '1'
    ? variants.map((variant) => ({ ...variant, checks: 'all' }))
    : variants.filter(({ batch, opset }) => (batch === 'N') === (opset === 13));
}

/** Without batch normalisation there is nothing to keep or fold: one half of the variants, with a corner of its own. */
function everyVariantOf({ hasBatchNorm }: Architecture): readonly Variant[] {
  if (hasBatchNorm) return VARIANTS;
  return VARIANTS.filter(({ folded }) => folded).map((variant) =>
    variant.batch === 1 && variant.opset === 17 ? { ...variant, checks: 'all' } : variant,
  );
}
