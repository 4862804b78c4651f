import { SieveError } from '../errors';
import { checkPart, readPart, sum } from './analyzePart';
import type { AnalyzedRun, AnalyzePart } from './analyzePart';
import type { AnalyzeResult } from './api';
import { markEffective } from './profile';

/** A part, or the file that holds it, and how it is called in messages. */
interface NamedPart {
  readonly name: string;
  readonly part: AnalyzePart;
}

/**
 * Makes of all parts of one analysis what `analyze` gives, to the bit: the parts count samples, and counts add up.
 *
 * @param parts files that `analyze --shard` wrote, or what `analyzeShard` gave, in any order.
 *
 * Errors: ERR_DATA_UNREADABLE for what is no part, ERR_USAGE where a part is missing or there twice, ERR_DATA_MISMATCH
 * where parts belong to different runs.
 */
export async function mergeAnalyses(parts: readonly (string | AnalyzePart)[]): Promise<AnalyzeResult> {
  const named: NamedPart[] = [];
  for (const [i, part] of parts.entries()) {
    if (typeof part === 'string') named.push({ name: `"${part}"`, part: await readPart(part) });
    else named.push({ name: `parts[${i}]`, part: checkPart(part, `parts[${i}]`) });
  }
  const [first] = named;
  if (first === undefined)
    throw new SieveError('ERR_USAGE', 'Expected at least one part for the merge but received none');
  for (const other of named) checkSameRun(first, other);
  checkComplete(named);

  const { run } = first.part;
  const all = named.map(({ part }) => part);
  const classSamples = addUp(all.map((part) => part.classSamples));
  const layers = run.layers.map(({ name, filters, filtersSkipped }, position) => {
    const hits = all.map((part) => part.layers[position]!);
    const si = addUp(hits.map((layer) => layer.si));
    const share = (count: number): number => count / run.samples;
    const indices = {
      name,
      si: share(sum(si)),
      csi: share(sum(hits.map(({ csi }) => csi))),
      perClass: si.map((count, label) => count / classSamples[label]!),
    };
    if (filters === 0) return filtersSkipped === undefined ? indices : { ...indices, filtersSkipped };
    const each = {
      si: addUp(hits.map((layer) => layer.filters!.si)).map(share),
      csi: addUp(hits.map((layer) => layer.filters!.csi)).map(share),
    };
    return { ...indices, filters: each };
  });
  return {
    samples: run.samples,
    classNames: run.classNames,
    layers: markEffective(layers, run.epsilon),
    device: run.device,
  };
}

function addUp(lists: readonly (readonly number[])[]): number[] {
  return lists[0]!.map((_, position) => sum(lists.map((list) => list[position]!)));
}

/** What a difference in one field of the run means, and what to do about it. */
const FIELDS: readonly (readonly [field: keyof AnalyzedRun, what: string, remedy: string])[] = [
  ['version', 'version of onnx-sieve', 'Use one version for all jobs.'],
  ['model', 'model', 'Give all jobs the same .onnx file.'],
  ['data', 'samples', 'Give all jobs the same data, flags of the data, --samples and --seed.'],
  ['samples', 'number of samples', 'Give all jobs the same data, flags of the data, --samples and --seed.'],
  ['classNames', 'classes', 'Give all jobs the same data and flags of the data.'],
  ['classes', 'classes', 'Give all jobs the same data and flags of the data.'],
  ['filters', '--filters', 'Give all jobs the same flags.'],
  ['epsilon', '--epsilon', 'Give all jobs the same flags.'],
  ['device', 'device', 'Give all jobs the same --device.'],
  [
    'layers',
    'activations',
    'The jobs computed different activations of the same samples: run all of them on one kind of machine, with the same --device, --threads and --batch.',
  ],
];

function checkSameRun(first: NamedPart, other: NamedPart): void {
  for (const [field, what, remedy] of FIELDS) {
    if (JSON.stringify(first.part.run[field]) === JSON.stringify(other.part.run[field])) continue;
    throw new SieveError(
      'ERR_DATA_MISMATCH',
      `Expected parts of one run for the merge but received ${first.name} and ${other.name}, which differ in the ${what}`,
      { remedy },
    );
  }
  const { count } = first.part.shard;
  if (other.part.shard.count !== count) {
    throw new SieveError(
      'ERR_DATA_MISMATCH',
      `Expected parts of one run for the merge but received ${first.name} of ${count} shards and ${other.name} of ${other.part.shard.count}`,
      { remedy: 'Merge the parts of one array job.' },
    );
  }
}

function checkComplete(named: readonly NamedPart[]): void {
  const { count } = named[0]!.part.shard;
  const byIndex = new Map<number, string>();
  for (const { name, part } of named) {
    const twin = byIndex.get(part.shard.index);
    if (twin !== undefined) {
      throw new SieveError(
        'ERR_USAGE',
        `Expected each part once for the merge but received part ${part.shard.index} of ${count} twice: ${twin} and ${name}`,
        { remedy: 'Leave one of them out.' },
      );
    }
    byIndex.set(part.shard.index, name);
  }
  if (byIndex.size === count) return;
  const missing: number[] = [];
  for (let index = 1; index <= count && missing.length < 8; index++) if (!byIndex.has(index)) missing.push(index);
  const more = count - byIndex.size - missing.length;
  throw new SieveError(
    'ERR_USAGE',
    `Expected all ${count} parts for the merge but received ${byIndex.size}: without ${missing.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
    { remedy: 'Wait for the jobs of these parts, or run them again.' },
  );
}
