import type { ColumnRange } from '../activations/activations';
import type { TapSize } from '../activations/passes';
import type { NativeControl } from '../binding/run';
import { filterSeparation } from '../separation';
import {
  openCenterSeparationIndexOfColumns,
  openSeparationIndexOfColumns,
  type ColumnBlock,
  type OpenColumnStream,
} from '../separation/columnStream';

/** Beyond, the native side refuses to hold what it needs of all pairs of rows. */
export const MOST_STREAMED_ROWS = 20_000;

/** Columns, of all samples, that one pass over the data brings. */
export interface WantedColumns extends ColumnRange {
  /** features: row-major [rows, columns]. */
  take(features: Float32Array): Promise<void>;
}

/** SI and CSI of the columns of a layer, or of a filter. */
interface Found {
  readonly si: number;
  readonly csi: number;
  readonly perClass: Float64Array;
}

export interface FoundIndices extends Omit<Found, 'perClass'> {
  readonly perClass: number[];
  /** Pieces that the columns were cut into. */
  readonly columnBlocks: number;
  readonly filters?: { readonly si: number[]; readonly csi: number[] };
}

export interface StreamedLayer {
  readonly tap: TapSize;
  /** [rows] */
  readonly labels: Int32Array;
  /** Single filters that are measured, along axis 1; 0: none. */
  readonly filters: number;
  /** Columns that the memory budget holds: at least one. */
  readonly columnsAtOnce: number;
  readonly control: Pick<NativeControl, 'threads' | 'signal'>;
}

interface Span {
  readonly first: number;
  readonly columns: number;
}

type Taker = (span: Span, features: Float32Array) => Promise<void>;

/** Of the progress; nobody knows beforehand whether there will be a second pass. */
const SHARE_OF_FIRST_PASS = 0.9;

/**
 * The indices of a layer whose activations do not fit into memory at once: to the bit what the indices of the whole
 * are. At most MOST_STREAMED_ROWS rows. Beside the columns it is given it holds about 2 · rows² bytes, and as much for
 * a filter that is by itself wider than what fits.
 */
export class StreamedIndices {
  /**
   * What is still wanted, in the order in which it is to be given. Whoever removes the first has to give it. More may be
   * wanted after something was given: columns whose products leave the nearest neighbour of a sample open.
   */
  readonly wanted: WantedColumns[];

  private readonly columnBlocks: number;
  private readonly whole: ColumnIndices;
  /** Where a filter is wider than what fits; otherwise each piece holds whole filters. */
  private readonly wideFilters: readonly ColumnIndices[];
  private readonly filterSi: number[] = [];
  private readonly filterCsi: number[] = [];
  private columnsGiven = 0; // to `whole`, in both passes

  /** `onFound` gets the indices once nothing more is wanted. */
  constructor(
    private readonly layer: StreamedLayer,
    private readonly onFound: (indices: FoundIndices) => void,
  ) {
    const { tap, labels, filters, columnsAtOnce, control } = layer;
    const dims = tap.elementsPerSample;
    const filterDims = filters === 0 ? dims : dims / filters;
    const width = pieceWidth(labels.length, columnsAtOnce);
    const filterIsWide = filters > 0 && filterDims > columnsAtOnce;
    const spans = filterIsWide
      ? Array.from({ length: filters }, (_, filter) => cut(filter * filterDims, filterDims, width))
      : [cut(0, dims, filters === 0 ? width : Math.max(1, Math.floor(width / filterDims)) * filterDims)];
    this.whole = new ColumnIndices(labels, spans.flat(), control);
    this.wideFilters = filterIsWide ? spans.map((ofFilter) => new ColumnIndices(labels, ofFilter, control)) : [];
    const giveWhole = this.takerOf(this.whole);
    this.wanted = spans.flatMap((part, index) => {
      const takers = filterIsWide ? [this.takerOf(this.wideFilters[index]!)] : filters > 0 ? [this.takeFilters] : [];
      return part.map((span) => this.want(span, [...takers, giveWhole]));
    });
    this.columnBlocks = this.wanted.length;
  }

  get name(): string {
    return this.layer.tap.name;
  }

  /** From 0 to 1. */
  progress(): number {
    const share = this.columnsGiven / this.layer.tap.elementsPerSample;
    return share <= 1 ? SHARE_OF_FIRST_PASS * share : SHARE_OF_FIRST_PASS + (1 - SHARE_OF_FIRST_PASS) * (share - 1);
  }

  /** Frees the memory; also after an error. */
  release(): void {
    for (const indices of [this.whole, ...this.wideFilters]) indices.release();
  }

  private want(span: Span, takers: readonly Taker[]): WantedColumns {
    const take = async (features: Float32Array): Promise<void> => {
      for (const taker of takers) await taker(span, features);
      this.reportWhenFound();
    };
    return { tap: this.layer.tap, ...span, take };
  }

  private reportWhenFound(): void {
    const { found } = this.whole;
    const filters = this.wideFilters.flatMap((filter) => filter.found ?? []);
    if (found === undefined || filters.length < this.wideFilters.length) return;
    const indices = { ...found, perClass: [...found.perClass], columnBlocks: this.columnBlocks };
    const si = [...this.filterSi, ...filters.map((filter) => filter.si)];
    const csi = [...this.filterCsi, ...filters.map((filter) => filter.csi)];
    this.onFound(this.layer.filters === 0 ? indices : { ...indices, filters: { si, csi } });
  }

  private takerOf(indices: ColumnIndices): Taker {
    const taker: Taker = async (span, features) => {
      const again = await indices.add(span, features);
      if (indices === this.whole) this.columnsGiven += span.columns;
      // Ahead of everything else: the sooner it is given, the sooner what is kept for it is free.
      if (again) this.wanted.unshift(...indices.spans.map((wanted) => this.want(wanted, [taker])));
    };
    return taker;
  }

  private readonly takeFilters: Taker = async ({ columns }, features) => {
    const { tap, labels, filters: all, control } = this.layer;
    const dims = tap.elementsPerSample / all;
    const shape = { ...control, rows: labels.length, filters: columns / dims, dims };
    this.filterSi.push(...(await filterSeparation(features, labels, shape)).si);
    this.filterCsi.push(...(await filterSeparation(features, labels, { ...shape, index: 'center' })).si);
  };
}

/** SI and CSI of some columns, piece after piece. */
class ColumnIndices {
  found: Found | undefined;
  private si: OpenColumnStream<Pick<Found, 'si' | 'perClass'>> | undefined;
  private csi: OpenColumnStream<Pick<Found, 'csi'>> | undefined;
  /** Those that want the pass. */
  private open: OpenColumnStream<unknown>[] = [];

  constructor(
    private readonly labels: Int32Array,
    readonly spans: readonly Span[],
    private readonly control: StreamedLayer['control'],
  ) {}

  /** Takes a span; whether all spans are wanted once more, which the last one tells. */
  async add(span: Span, values: Float32Array): Promise<boolean> {
    const { labels, spans } = this;
    if (this.si === undefined || this.csi === undefined) {
      const dims = spans.reduce((sum, { columns }) => sum + columns, 0);
      const options = { ...this.control, rows: labels.length, dims };
      this.si = await openSeparationIndexOfColumns(labels, options);
      this.csi = await openCenterSeparationIndexOfColumns(labels, options);
      this.open = [this.si, this.csi];
    }
    const block: ColumnBlock = { values, columns: span.columns };
    for (const stream of this.open) await stream.add(block);
    if (span !== spans.at(-1)) return false;

    const again: OpenColumnStream<unknown>[] = [];
    for (const stream of this.open) if (await stream.endPass()) again.push(stream);
    this.open = again;
    if (again.length > 0) return true;
    const { si, perClass } = await this.si.finish();
    const { csi } = await this.csi.finish();
    this.found = { si, csi, perClass };
    this.release();
    return false;
  }

  release(): void {
    this.si?.release();
    this.csi?.release();
  }
}

/** Enough for the kernels' products to be worth reading and writing, not so much that a budget is filled unevenly. */
const PIECE_BYTES = 2 ** 26;
const LEAST_PIECES = 8;
const LEAST_COLUMNS = 64;

/** Columns of a piece: a whole number of pieces fills the budget as well as can be. */
function pieceWidth(rows: number, columnsAtOnce: number): number {
  const columns = Math.min(PIECE_BYTES / Float32Array.BYTES_PER_ELEMENT / rows, columnsAtOnce / LEAST_PIECES);
  const pieces = Math.ceil(columnsAtOnce / Math.max(columns, LEAST_COLUMNS));
  return Math.floor(columnsAtOnce / pieces);
}

function cut(first: number, columns: number, width: number): Span[] {
  return Array.from({ length: Math.ceil(columns / width) }, (_, piece) => ({
    first: first + piece * width,
    columns: Math.min(width, columns - piece * width),
  }));
}
