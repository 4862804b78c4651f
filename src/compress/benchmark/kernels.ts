import type { NativeControl } from '../../binding/run';
import {
  centerSeparationIndex,
  crossSeparationIndex,
  filterSeparation,
  selectFilters,
  separationIndex,
} from '../../separation';
import { CLASSES } from './cases';
import { makeData } from './data';
import type { LabelledData } from './data';
import type { BenchmarkCase, BenchmarkData } from './types';

/** Parts of an answer by name. Two answers agree where every part that both have is equal as far as both go. */
export type Answer = Readonly<Record<string, Float64Array | Int32Array>>;
export type Call = (control: NativeControl) => Promise<Answer>;

/** What one backend has to do in a case. `time` is what a user would call, `check` gives more of the same answer. */
export interface Task {
  readonly time: Call;
  readonly check: Call;
}

/** Work that falls into equal units, none of which needs another. */
export interface Units {
  readonly kind: 'rows' | 'filters';
  readonly total: number;
  /** Units that one thread takes at a time; fewer would leave threads idle. */
  readonly grain: number;
  /** The first `count` units alone. Its time is count / total of the whole for a backend that shares no work. */
  readonly first: (count: number) => Task;
}

export interface Workload extends Task {
  /** What peers get to see. */
  readonly data: LabelledData;
  /** Absent where the work can not be cut: then the whole is timed, however long it takes. */
  readonly units?: Units;
}

/** Queries that the library hands to a thread at a time. */
const QUERY_GRAIN = 32;

/** Makes the data of a case and says what to call on it. Every part of the serial search looks at one query alone. */
export async function prepareWorkload(
  item: BenchmarkCase,
  kind: BenchmarkData,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Workload> {
  const { rows, dims } = item;
  switch (item.kernel) {
    case 'separationIndex':
      return separationWorkload(await makeData(kind, rows, dims, seed, signal), item.order);
    case 'crossSeparationIndex':
      return crossWorkload(await makeData(kind, 2 * rows, dims, seed, signal), item);
    case 'centerSeparationIndex':
      return centerWorkload(await makeData(kind, rows, dims, seed, signal));
    case 'filterSeparation':
      return filterWorkload(await makeData(kind, rows, dims, seed, signal), item.filters ?? 1);
    case 'selectFilters':
      return selectionWorkload(await makeData(kind, rows, dims, seed, signal), item.filters ?? 1);
  }
}

function separationWorkload(data: LabelledData, order: number): Workload {
  const { features, labels, rows, dims } = data;
  const options = { rows, dims, order, classes: CLASSES };
  const first = (count: number): Task => {
    const queries = firstRows(data, count);
    const among = { ...options, rows: count };
    return {
      time: async (control) => {
        await crossSeparationIndex(queries.features, queries.labels, data, { ...control, ...among });
        return {};
      },
      // A query is among the rows here: one neighbour more, and itself left out, gives those of separationIndex.
      check: async (control) => {
        const wanted = { ...control, ...among, order: order + 1, neighbours: true };
        const { nearest } = await crossSeparationIndex(queries.features, queries.labels, data, wanted);
        return { nearest: withoutThemselves(nearest!, count, order) };
      },
    };
  };
  return {
    data,
    time: async (control) => {
      const { perClass } = await separationIndex(features, labels, { ...control, ...options });
      return { perClass };
    },
    check: async (control) => {
      const wanted = { ...control, ...options, neighbours: true };
      const { perClass, nearest } = await separationIndex(features, labels, wanted);
      return { perClass, nearest: nearest! };
    },
    units: { kind: 'rows', total: rows, grain: QUERY_GRAIN, first },
  };
}

/** Half of the data are queries, the other half is what they are compared with. */
function crossWorkload(data: LabelledData, { rows, dims, order }: BenchmarkCase): Workload {
  const reference = {
    features: data.features.subarray(rows * dims),
    labels: data.labels.subarray(rows),
    rows: data.rows - rows,
  };
  const task = (count: number): Task => {
    const { features, labels } = firstRows(data, count);
    const options = { rows: count, dims, order, classes: CLASSES };
    return {
      time: async (control): Promise<Answer> => {
        const { perClass } = await crossSeparationIndex(features, labels, reference, { ...control, ...options });
        return count === rows ? { perClass } : {};
      },
      check: async (control): Promise<Answer> => {
        const wanted = { ...control, ...options, neighbours: true };
        const { perClass, nearest } = await crossSeparationIndex(features, labels, reference, wanted);
        return count === rows ? { perClass, nearest: nearest! } : { nearest: nearest! };
      },
    };
  };
  return { data, ...task(rows), units: { kind: 'rows', total: rows, grain: QUERY_GRAIN, first: task } };
}

function centerWorkload(data: LabelledData): Workload {
  const { features, labels, rows, dims } = data;
  const options = { rows, dims, classes: CLASSES };
  return {
    data,
    time: async (control) => {
      const { perClass } = await centerSeparationIndex(features, labels, { ...control, ...options });
      return { perClass };
    },
    check: async (control) => {
      const wanted = { ...control, ...options, nearest: true };
      const { perClass, nearest } = await centerSeparationIndex(features, labels, wanted);
      return { perClass, nearest: nearest! };
    },
  };
}

function filterWorkload(data: LabelledData, filters: number): Workload {
  const task = (count: number): Task => {
    const { features, labels, rows, dims } = count === filters ? data : firstFilters(data, filters, count);
    const options = { rows, filters: count, dims: dims / count, classes: CLASSES };
    const call: Call = async (control) => {
      const { si } = await filterSeparation(features, labels, { ...control, ...options });
      return { si };
    };
    return { time: call, check: call };
  };
  return { data, ...task(filters), units: { kind: 'filters', total: filters, grain: 1, first: task } };
}

function selectionWorkload(data: LabelledData, filters: number): Workload {
  const { features, labels, rows, dims } = data;
  const options = { rows, filters, dims: dims / filters, classes: CLASSES };
  const call: Call = async (control) => {
    const { order, curve } = await selectFilters(features, labels, { ...control, ...options });
    return { order, curve };
  };
  return { data, time: call, check: call };
}

function firstRows({ features, labels, dims }: LabelledData, rows: number): LabelledData {
  return { features: features.subarray(0, rows * dims), labels: labels.subarray(0, rows), rows, dims };
}

function firstFilters({ features, labels, rows, dims }: LabelledData, filters: number, count: number): LabelledData {
  const kept = (dims / filters) * count;
  const copy = new Float32Array(rows * kept);
  for (let row = 0; row < rows; row++) copy.set(features.subarray(row * dims, row * dims + kept), row * kept);
  return { features: copy, labels, rows, dims: kept };
}

/** [rows, order + 1] neighbours to [rows, order]: a row that so many copies come before does not find itself. */
function withoutThemselves(nearest: Int32Array, rows: number, order: number): Int32Array {
  const kept = new Int32Array(rows * order);
  for (let row = 0; row < rows; row++) {
    const found = nearest.subarray(row * (order + 1), (row + 1) * (order + 1));
    const itself = found.indexOf(row);
    const others = found.filter((_, position) => position !== (itself < 0 ? order : itself));
    kept.set(others, row * order);
  }
  return kept;
}
