type Where = readonly (string | number)[];
export declare const calls: readonly {
  readonly name: string;
  readonly args: () => unknown[];
  readonly arrays: readonly Where[];
  readonly objects: readonly Where[];
}[];
export declare function get(args: unknown[], where: Where): unknown;
export declare function set(args: unknown[], where: Where, value: unknown): void;
export declare function invoke(
  addon: unknown,
  name: string,
  args: unknown[],
): Promise<{ readonly thrown?: unknown; readonly rejected?: unknown; readonly value?: unknown }>;
export declare function shared(array: unknown): unknown;
export declare function wrongCalls(): Generator<{
  readonly name: string;
  readonly what: string;
  readonly args: unknown[];
  readonly throws?: boolean;
  readonly rejects?: { readonly code: string; readonly row: number };
}>;
