import { parseCommandLine, VERB_NAMES } from '../../src/cli/commandLine';

/** What a command line asks for, as plain data. */
function requestOf(line: string): { verb: string; flags: object; request: unknown } {
  const parsed = parseCommandLine(line.split(' '));
  if (parsed.kind !== 'run') throw new Error(`"${line}" prints a text`);
  return { verb: parsed.verb, flags: parsed.flags, request: withoutAbsent(parsed.prepared.request) };
}

function withoutAbsent(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function failureOf(line: string): { code: string; message: string; remedy?: string } {
  try {
    parseCommandLine(line === '' ? [] : line.split(' '));
  } catch (error) {
    return error as { code: string; message: string; remedy?: string };
  }
  throw new Error(`"${line}" was accepted`);
}

describe('requests', () => {
  test('inspect', () => {
    expect(requestOf('inspect m.onnx').request).toEqual({ model: 'm.onnx' });
  });

  test('analyze with every flag', () => {
    const line =
      'analyze m.onnx --data d --filters --epsilon 0.02 --samples 500 --batch 32 --memory 1GiB --device cpu --threads 2 --seed 9';
    expect(requestOf(line).request).toEqual({
      model: 'm.onnx',
      options: {
        data: 'd',
        filters: true,
        epsilon: 0.02,
        samples: 500,
        batchSize: 32,
        memoryBudgetBytes: 2 ** 30,
        device: 'cpu',
        threads: 2,
        seed: 9,
      },
    });
  });

  test('analyze in parts, and their merge', () => {
    expect(requestOf('analyze m.onnx --data d --shard 2/8 -o part2.json --force').request).toEqual({
      model: 'm.onnx',
      options: { data: 'd' },
      shard: { index: 2, count: 8 },
      output: 'part2.json',
      force: true,
    });
    expect(requestOf('analyze --merge a.json b.json --json -o all.json').request).toEqual({
      merge: ['a.json', 'b.json'],
      output: 'all.json',
    });
  });

  test('absent flags stay absent, so that defaults live with the verbs', () => {
    expect(requestOf('analyze m.onnx --data d').request).toEqual({ model: 'm.onnx', options: { data: 'd' } });
    expect(requestOf('evaluate m.onnx --data d').request).toEqual({ model: 'm.onnx', options: { data: 'd' } });
    expect(requestOf('compress m.onnx --data d -o o.onnx --flops 0.5').request).toEqual({
      model: 'm.onnx',
      options: { data: 'd', output: 'o.onnx', flops: 0.5 },
    });
  });

  test('the fields of a data set as flags', () => {
    const line =
      'evaluate m.onnx --data x.npy --kind npy --labels y.npy --images x --class-names cat,dog --size 32,48 --scale 1/255 --mean 0.5,0.4,0.3 --std 0.2,0.2,0.2 --layout NHWC --limit 100 --skip-corrupt --latency-batch 8';
    expect(requestOf(line).request).toEqual({
      model: 'm.onnx',
      options: {
        data: {
          path: 'x.npy',
          kind: 'npy',
          labels: 'y.npy',
          images: 'x',
          classNames: ['cat', 'dog'],
          size: [32, 48],
          scale: '1/255',
          mean: [0.5, 0.4, 0.3],
          std: [0.2, 0.2, 0.2],
          layout: 'NHWC',
          limit: 100,
          skipCorrupt: true,
        },
        latencyBatch: 8,
      },
    });
  });

  test('evaluate takes a second model', () => {
    expect(requestOf('evaluate a.onnx b.onnx --data d').request).toEqual({
      model: 'a.onnx',
      other: 'b.onnx',
      options: { data: 'd' },
    });
  });

  test('compress with every flag; validation takes the same pixel treatment, not the same labels or limit', () => {
    const line =
      'compress m.onnx --data d --scale 1/255 --labels y --limit 900 --validation v --flops 0.7 --params 0.6 --bytes 500kB --max-drop 0.5 --criterion si-rank --allocation uniform --recover none --samples 100 --output o.onnx --report r.html --force --no-layers --no-head';
    expect(requestOf(line).request).toEqual({
      model: 'm.onnx',
      options: {
        data: { path: 'd', scale: '1/255', labels: 'y', limit: 900 },
        validation: { path: 'v', scale: '1/255' },
        flops: 0.7,
        params: 0.6,
        bytes: 500000,
        maxDrop: 0.5,
        criterion: 'si-rank',
        allocation: 'uniform',
        recover: 'none',
        samples: 100,
        output: 'o.onnx',
        report: 'r.html',
        force: true,
      },
    });
  });

  test('compress with training', () => {
    const { options } = requestOf('compress m.onnx --data d -o o --recover finetune --epochs 3').request as {
      options: unknown;
    };
    expect(options).toMatchObject({ recover: 'finetune', training: { epochs: 3 } });
  });

  test('finetune with every flag', () => {
    const line =
      'finetune m.onnx --data d --scale 1/255 --validation v --teacher t.onnx -o o.onnx --force --checkpoint c --resume --freeze a,b* --samples 9 --epochs 2 --batch 32 --optimizer adamw --learning-rate 0.1 --momentum 0.8 --momentum-range 0.8,0.9 --from-scratch --no-nesterov --weight-decay 0 --decay-all --decoupled-decay --schedule cosine --warmup 1 --milestones 2,3 --label-smoothing 0.1 --distillation 0.5 --temperature 2 --clip 1 --average 0.9 --batch-norm frozen --crop 2 --flip 0 --colour-jitter 0.2 --mixup 0.3 --cutmix 1 --class-balanced --patience 4 --keep-best loss';
    expect(requestOf(line).request).toEqual({
      model: 'm.onnx',
      options: {
        ...{ data: { path: 'd', scale: '1/255' }, validation: { path: 'v', scale: '1/255' }, teacher: 't.onnx' },
        ...{ output: 'o.onnx', force: true, checkpoint: 'c', resume: true, freeze: ['a', 'b*'], samples: 9 },
        ...{
          epochs: 2,
          batchSize: 32,
          optimizer: 'adamw',
          learningRate: 0.1,
          momentum: 0.8,
          nesterov: false,
          momentumRange: [0.8, 0.9],
          fromScratch: true,
        },
        ...{ weightDecay: 0, decayAll: true, decoupledDecay: true, schedule: 'cosine', warmup: 1, milestones: [2, 3] },
        ...{ labelSmoothing: 0.1, distillationWeight: 0.5, temperature: 2, clipNorm: 1, averageDecay: 0.9 },
        ...{ batchNorm: 'frozen', crop: 2, flip: 0, colourJitter: 0.2, mixup: 0.3, cutmix: 1, classBalanced: true },
        ...{ patience: 4, keepBest: 'loss' },
      },
    });
  });

  test('demo', () => {
    expect(requestOf('demo').request).toEqual({});
    expect(requestOf('demo -o there --seed 3').request).toEqual({ outputDirectory: 'there', seed: 3 });
  });

  test('bench and doctor', () => {
    expect(requestOf('bench').request).toEqual({});
    expect(requestOf('bench --rows 100 --dims 64 --repeats 2 --kernel filterSeparation --threads 1').request).toEqual({
      rows: 100,
      dims: 64,
      repeats: 2,
      kernels: ['filterSeparation'],
      threads: 1,
    });
    const kernels = '--kernel separationIndex --kernel selectFilters --order 3 --backend avx2 --backend anything';
    const rest = '--data clustered --serial-seconds 1.5 --peers --seed 4';
    expect(requestOf(`bench --shape 100x64 --shape 200x8x4 ${kernels} ${rest}`).request).toEqual({
      shapes: [
        { rows: 100, dims: 64 },
        { rows: 200, dims: 32, filters: 8 },
      ],
      kernels: ['separationIndex', 'selectFilters'],
      order: 3,
      backends: ['avx2', 'anything'],
      data: 'clustered',
      serialSeconds: 1.5,
      peers: true,
      seed: 4,
    });
    expect(requestOf('doctor --json --quiet --debug')).toMatchObject({
      verb: 'doctor',
      flags: { json: true, quiet: true, debug: true },
    });
  });
});

describe('refusals', () => {
  test.each([
    ['', 'ERR_USAGE', 'Expected a verb but received nothing'],
    ['shrink m.onnx', 'ERR_USAGE', 'Expected a known verb but received "shrink"'],
    ['inspect', 'ERR_USAGE', 'Expected a value for <model> but received nothing'],
    ['inspect a.onnx b.onnx', 'ERR_USAGE', 'Expected fewer arguments'],
    ['inspect m.onnx --flps 1', 'ERR_USAGE', 'Expected a known option but received "--flps"'],
    ['analyze m.onnx', 'ERR_USAGE', 'Expected labelled samples for --data but received nothing'],
    ['analyze m.onnx --data', 'ERR_USAGE', 'Expected a value for "--data <path>" but received nothing'],
    ['analyze m.onnx --data d --epsilon 2', 'ERR_OPTION', 'Expected a number from 0 to 1 for --epsilon'],
    ['analyze', 'ERR_USAGE', 'Expected a value for <model> but received nothing'],
    ['analyze m.onnx --data d --shard 2/8', 'ERR_USAGE', 'Expected a file name for --output but received nothing'],
    ['analyze m.onnx --data d -o p --shard 9/8', 'ERR_OPTION', 'such as 2/8, for --shard but received "9/8"'],
    ['analyze m.onnx --data d -o p --shard 0/8', 'ERR_OPTION', 'for --shard but received "0/8"'],
    ['analyze m.onnx --data d -o p --shard 2', 'ERR_OPTION', 'for --shard but received "2"'],
    ['analyze m.onnx --merge a b', 'ERR_USAGE', 'for --merge but received "m.onnx"'],
    ['analyze --merge a b --skip-corrupt', 'ERR_USAGE', 'for --merge but received "--skip-corrupt"'],
    ['analyze --merge a b --shard 1/2', 'ERR_USAGE', 'for --merge but received "--shard"'],
    ['analyze --merge', 'ERR_USAGE', 'Expected a value for "--merge <parts...>" but received nothing'],
    ['compress m.onnx --data d --flops 0.5', 'ERR_USAGE', 'Expected a file name for --output but received nothing'],
    ['compress m.onnx --data d -o o --flops 1.5', 'ERR_OPTION', 'for --flops but received "1.5"'],
    ['compress m.onnx --data d -o o --flops=-1', 'ERR_OPTION', 'for --flops but received "-1"'],
    ['compress m.onnx --data d -o o --params abc', 'ERR_OPTION', 'for --params but received "abc"'],
    ['compress m.onnx --data d -o o --max-drop 101', 'ERR_OPTION', 'Expected percentage points from 0 to 100'],
    ['compress m.onnx --data d -o o --criterion l2', 'ERR_OPTION', 'Expected one of si, si-rank, csi, reconstruction'],
    [
      'compress m.onnx --data d -o o --recover hope',
      'ERR_OPTION',
      'Expected one of none, refit, finetune for --recover',
    ],
    ['compress m.onnx --data d -o o --epochs 3', 'ERR_OPTION', 'Expected --recover finetune for --epochs'],
    ['compress m.onnx --data d -o o --flops 0.5 --no-filters', 'ERR_OPTION', 'but received "--no-filters"'],
    ['compress m.onnx --data d -o o --report ./o --flops 0.5', 'ERR_USAGE', 'Expected two different files'],
    ['inspect m.onnx --device gpu', 'ERR_OPTION', 'Expected one of auto, cpu, cuda, webgpu for --device'],
    ['inspect m.onnx --threads -1', 'ERR_OPTION', 'for --threads but received "-1"'],
    ['evaluate m.onnx --data d --kind tarball', 'ERR_OPTION', 'for --kind but received "tarball"'],
    ['evaluate m.onnx --data d --layout nchw', 'ERR_OPTION', 'Expected one of NCHW, NHWC for --layout'],
    ['evaluate m.onnx --data d --mean 0.5;0.5', 'ERR_OPTION', 'for --mean'],
    ['bench --rows 4', 'ERR_OPTION', 'Expected a whole number, 16 or more for --rows'],
    ['bench --shape 100', 'ERR_OPTION', 'Expected ROWSxDIMS or ROWSxFILTERSxDIMS'],
    ['bench --shape 100x0', 'ERR_OPTION', 'for --shape but received "100x0"'],
    ['bench --shape 100x-2x-2', 'ERR_OPTION', 'for --shape but received "100x-2x-2"'],
    ['bench --shape 8x8', 'ERR_OPTION', 'with 16 rows or more for --shape'],
    ['bench --shape 100x2x2x2', 'ERR_OPTION', 'for --shape but received "100x2x2x2"'],
    ['bench --shape 100x8 --rows 100', 'ERR_USAGE', 'Expected either --shape or --rows and --dims'],
    ['bench --kernel si', 'ERR_OPTION', 'Expected one of separationIndex, crossSeparationIndex'],
    ['bench --data uniform', 'ERR_OPTION', 'Expected one of random, clustered for --data'],
    ['bench --serial-seconds -1', 'ERR_OPTION', 'for --serial-seconds but received "-1"'],
  ])('%s', (line, code, message) => {
    const failure = failureOf(line);
    expect(failure).toMatchObject({ name: 'SieveError', code });
    expect(failure.message).toContain(message);
  });

  test('a likely spelling and the right help are offered', () => {
    expect(failureOf('compress m.onnx --flop 0.5').remedy).toBe(
      'Did you mean --flops? Run "onnx-sieve compress --help".',
    );
    expect(failureOf('inspec m.onnx').remedy).toBe('Did you mean inspect? Run "onnx-sieve --help".');
  });
});

describe('help', () => {
  function textOf(...args: string[]): string {
    const parsed = parseCommandLine(args);
    if (parsed.kind !== 'text') throw new Error('not a text');
    return parsed.text;
  }

  test('of the program names every verb, the exit codes and where to begin', () => {
    const text = textOf('--help');
    for (const verb of VERB_NAMES) expect(text).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
    expect(text).toContain('Exit codes:');
    expect(text).toContain('$ onnx-sieve demo');
    expect(textOf('help')).toBe(text);
  });

  test.each(VERB_NAMES)('of %s has an example that is accepted, and the flags of every verb', (verb) => {
    const text = textOf(verb, '--help');
    expect(textOf('help', verb)).toBe(text);
    for (const flag of ['--json', '--quiet', '--device', '--threads', '--seed', '--debug'])
      expect(text).toContain(flag);
    const examples = [...text.replace(/\\\n/g, '').matchAll(/^ {2}\$ (onnx-sieve .*)$/gm)].map(([, line]) => line!);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      const [, ...args] = example.split('|')[0]!.trim().split(/\s+/);
      expect(parseCommandLine(args)).toMatchObject({ kind: 'run', verb });
    }
  });

  test('the version is the package’s', () => {
    expect(textOf('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
