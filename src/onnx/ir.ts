/**
 * The graph as plain immutable values, free of protobuf. `proto/` reads and writes it; passes take a Graph
 * and return another one. Everything that the IR does not model (unknown fields, doc strings, functions,
 * sparse initializers …) rides along in `origin` and is written back untouched.
 */

export type DataType =
  | 'float32'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'string'
  | 'bool'
  | 'float16'
  | 'float64'
  | 'uint32'
  | 'uint64'
  | 'bfloat16'
  /** Any other element type (complex, float8, int4 …): carried, never looked into. */
  | 'other';

/** A number, a symbolic name such as "batch", or undefined where nothing is known. */
export type Dimension = number | string | undefined;
/** undefined: not even the rank is known. */
export type Shape = readonly Dimension[] | undefined;

/**
 * Opaque link to the protobuf message a value came from. A value that is copied with `{...node, inputs}` keeps
 * it, so that unknown fields survive; a value made anew has none.
 */
export interface Origin {
  readonly brand: 'onnx-origin';
}

/** A constant. `bytes` is little-endian, row-major, read lazily (it may lie in an external file). */
export interface Tensor {
  readonly name: string;
  readonly dataType: DataType;
  readonly dims: readonly number[];
  /** Raw element bytes; NOT necessarily aligned to the element size. Throws for strings and 'other'. */
  readonly bytes: () => Uint8Array;
  /** Where the bytes are computed: puts the same into an array of `byteLength`, without another one beside it. */
  readonly copyTo?: (target: Uint8Array) => void;
  readonly byteLength: number;
  readonly origin?: Origin;
}

export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  /**
   * A subgraph that was made here, as the body of a Loop; those of a file are opaque. Its nodes may read tensors of the
   * graphs around it. Its initializers are written in full, wherever those of the model go.
   */
  | { readonly kind: 'graph'; readonly value: Graph }
  /** Subgraphs of a file and rarer kinds: carried untouched. `references` names outer tensors a subgraph reads. */
  | { readonly kind: 'opaque'; readonly type: string; readonly references: readonly string[]; readonly origin: Origin };

export interface Node {
  /** As in the file; may be empty. `key` is what the tool calls it. */
  readonly name: string;
  /** Unique in the graph and stable: the name, else the first output. Shown to users. */
  readonly key: string;
  readonly opType: string;
  /** '' is the standard domain ("ai.onnx" is read as ''). */
  readonly domain: string;
  /** '' marks an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly origin?: Origin;
}

export interface ValueInfo {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: Shape;
  readonly origin?: Origin;
}

export interface Graph {
  readonly name: string;
  /** True inputs only: initializers that are also listed as inputs (IR version 3) are kept by serialisation, not shown here. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In topological order, as ONNX demands. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly valueInfo: ReadonlyMap<string, ValueInfo>;
  readonly origin?: Origin;
}

export interface Model {
  readonly irVersion: number;
  /** Version by domain ('' is the standard one). */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: Graph;
  readonly origin?: Origin;
}
