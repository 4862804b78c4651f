import { availableParallelism, loadavg } from 'node:os';
import type { Backend } from '../../binding/addon';
import { listBackends } from '../../binding/backends';
import type { NativeControl } from '../../binding/run';
import { SieveError, expected } from '../../errors';
import { describeEnvironment } from '../../report/environment';
import { benchmarkCases, CLASSES, operationCount } from './cases';
import { prepareWorkload } from './kernels';
import type { Answer, Task, Workload } from './kernels';
import { PeerGroup } from './peers';
import { alternate, medians, time } from './rounds';
import type { Contender } from './rounds';
import type {
  BenchmarkCase,
  BenchmarkOptions,
  BenchmarkResult,
  KernelMeasurement,
  MissingPeer,
  PeerMeasurement,
  Timing,
} from './types';

const DEFAULT_REPEATS = 5;
const DEFAULT_SERIAL_SECONDS = 0.5;

/**
 * Times the kernels on seeded data, every backend that this processor has, in turn within each round, and on request
 * other libraries on the same data in the same rounds. The serial backend is the reference: all answers are compared
 * with its answers, and where a whole serial run would take longer than `serialSeconds` it does a part of the queries,
 * whose time is scaled and marked as such.
 *
 * Errors: ERR_VERIFICATION where a backend's answer is not the serial one's, ERR_OPTION, ERR_DEVICE (a backend that
 * this processor lacks), ERR_NATIVE_MISSING, ERR_OUT_OF_MEMORY, ERR_CANCELLED.
 */
export async function benchmark(options: BenchmarkOptions = {}): Promise<BenchmarkResult> {
  const { data = 'random', signal, onProgress } = options;
  const loadAverage = loadavg()[0] ?? 0;
  const cases = benchmarkCases(options);
  const backends = chooseBackends(options.backends);
  const threads = options.threads === undefined || options.threads === 0 ? availableParallelism() : options.threads;
  const results: KernelMeasurement[] = [];
  const peers: (PeerMeasurement | MissingPeer)[] = [];
  for (const [index, item] of cases.entries()) {
    const report = (fraction: number, message: string): void =>
      onProgress?.({ stage: 'bench', fraction: (index + fraction) / cases.length, message });
    report(0, `${item.kernel}, data`);
    const workload = await prepareWorkload(item, data, options.seed ?? 0, signal);
    const measured = await measureCase(item, workload, backends, { ...options, threads }, report);
    results.push(...measured.results);
    peers.push(...measured.peers);
  }
  onProgress?.({ stage: 'bench', fraction: 1 });
  const result = { environment: describeEnvironment(), threads, loadAverage, data, results };
  return options.peers === true ? { ...result, peers } : result;
}

/** Serial first, then the others as the addon lists them. */
function chooseBackends(wanted: readonly string[] | undefined): readonly Backend[] {
  const known = listBackends();
  for (const name of wanted ?? []) {
    const found = known.find((backend) => backend.name === name);
    const names = known.map((backend) => backend.name).join(', ');
    if (found === undefined) throw expected('ERR_OPTION', `one of ${names}`, 'the backend', name);
    if (!found.available)
      throw expected('ERR_DEVICE', 'a backend that this processor has', 'the backend', name, {
        remedy: 'Run "onnx-sieve doctor" to see which it has.',
      });
  }
  const others = known.filter(({ name, available }) => available && name !== 'serial');
  return ['serial', ...others.map(({ name }) => name).filter((name) => wanted?.includes(name) ?? true)];
}

interface CaseResult {
  readonly results: readonly KernelMeasurement[];
  readonly peers: readonly (PeerMeasurement | MissingPeer)[];
}

async function measureCase(
  item: BenchmarkCase,
  workload: Workload,
  backends: readonly Backend[],
  options: BenchmarkOptions & { readonly threads: number },
  report: (fraction: number, message: string) => void,
): Promise<CaseResult> {
  const { threads, signal, repeats = DEFAULT_REPEATS } = options;
  const controlOf = (backend: Backend): NativeControl => ({ backend, threads, signal });
  const compared = options.peers === true && item.kernel === 'separationIndex' && item.order === 1;
  const group = compared ? await PeerGroup.start(workload.data, threads, signal) : undefined;
  try {
    report(0, `${item.kernel}, serial`);
    const serial = await planSerial(workload, controlOf('serial'), options.serialSeconds ?? DEFAULT_SERIAL_SECONDS);
    const taskOf = (backend: Backend): Task => (backend === 'serial' ? serial.task : workload);
    // The untimed first run of each warms up and gives more to compare than the timed ones.
    const answers = new AnswerCheck(item);
    for (const backend of backends) answers.add(backend, await taskOf(backend).check(controlOf(backend)));

    const own = backends.map((backend): Contender => ({
      name: backend,
      run: async () => {
        const { value, ...timing } = await time(() => taskOf(backend).time(controlOf(backend)));
        answers.add(backend, value);
        return timing;
      },
    }));
    const contenders = [...own, ...(group?.contenders(signal) ?? [])];
    let done = 0;
    const onRun = (name: string): void => report(done++ / (contenders.length * repeats), `${item.kernel}, ${name}`);
    const timings = await alternate(contenders, { rounds: repeats, signal, settle: group?.settle, onRun });

    const serialCpuSeconds = scaled(medians(timings[0]!), serial.scale).cpuSeconds;
    const results = backends.map((backend, i): KernelMeasurement => {
      const { cpuSeconds, wallSeconds } = scaled(medians(timings[i]!), backend === 'serial' ? serial.scale : 1);
      const part = backend === 'serial' ? serial.measured : { rows: item.rows, filters: item.filters };
      return {
        ...item,
        backend,
        trials: timings[i]!.length,
        cpuSeconds,
        wallSeconds,
        gflops: operationCount(item) / wallSeconds / 1e9,
        ratioToSerial: serialCpuSeconds / cpuSeconds,
        measuredRows: part.rows ?? item.rows,
        ...(item.filters !== undefined && { measuredFilters: part.filters ?? item.filters }),
        extrapolated: backend === 'serial' && serial.scale !== 1,
        serialExtrapolated: serial.scale !== 1,
      };
    });
    const peers = group?.results(timings.slice(own.length), results, answers.index(workload.data.labels)) ?? [];
    return { results, peers };
  } finally {
    await group?.close();
  }
}

const scaled = ({ cpuSeconds, wallSeconds }: Timing, scale: number): Timing => ({
  cpuSeconds: cpuSeconds * scale,
  wallSeconds: wallSeconds * scale,
});

interface SerialPlan {
  readonly task: Task;
  /** Whole over part: what its times are multiplied by. 1 where it does the whole. */
  readonly scale: number;
  readonly measured: { readonly rows?: number; readonly filters?: number };
}

/** As much of the work as the serial backend does in `seconds`, found by timing one portion of it. */
async function planSerial(workload: Workload, control: NativeControl, seconds: number): Promise<SerialPlan> {
  const { units } = workload;
  if (units === undefined) return { task: workload, scale: 1, measured: {} };
  const portion = Math.min(units.total, units.grain * (control.threads ?? 1));
  const trial = units.first(portion);
  await trial.time(control);
  const { wallSeconds } = await time(() => trial.time(control));
  const portions = Math.max(1, Math.floor(seconds / wallSeconds));
  const count = portions * portion;
  if (count >= units.total) return { task: workload, scale: 1, measured: {} };
  return { task: units.first(count), scale: units.total / count, measured: { [units.kind]: count } };
}

/** Holds the first answer for every part of it; each later one must be the same as far as both go. */
class AnswerCheck {
  private readonly parts = new Map<string, { readonly backend: Backend; readonly values: Answer[string] }>();

  constructor(private readonly item: BenchmarkCase) {}

  add(backend: Backend, answer: Answer): void {
    for (const [name, values] of Object.entries(answer)) {
      const known = this.parts.get(name);
      if (known !== undefined) this.compare(name, known, backend, values);
      // The serial answer may be one for the first queries only; a longer one takes its place once they agree.
      if (known === undefined || known.values.length < values.length) this.parts.set(name, { backend, values });
    }
  }

  /** The Separation Index that `perClass` amounts to; undefined where no backend did the whole. */
  index(labels: Int32Array): number | undefined {
    const perClass = this.parts.get('perClass')?.values;
    if (perClass === undefined) return undefined;
    const counts = new Float64Array(CLASSES);
    for (const label of labels) counts[label]!++;
    return counts.reduce((sum, count, label) => sum + (count === 0 ? 0 : count * perClass[label]!), 0) / labels.length;
  }

  private compare(
    name: string,
    known: { readonly backend: Backend; readonly values: Answer[string] },
    backend: Backend,
    values: Answer[string],
  ): void {
    const count = Math.min(known.values.length, values.length);
    for (let i = 0; i < count; i++) {
      if (Object.is(values[i], known.values[i])) continue;
      throw new SieveError(
        'ERR_VERIFICATION',
        `Expected ${name}[${i}] = ${known.values[i]}, the answer of ${known.backend}, for ${this.item.kernel} but received ${values[i]} from ${backend}`,
        {
          remedy:
            'Set SIEVE_BACKEND=serial to go on with exact answers, and report this with the output of "onnx-sieve doctor".',
        },
      );
    }
  }
}
