// Every function of the addon with every argument wrong in every way: a TypeError or RangeError with a code, or a
// rejection with one, and no crash. The same calls run under valgrind in scripts/test-valgrind.mjs.
import type { NativeAddon } from '../../src/binding/addon';
import { loadAddon } from '../../src/binding/load';
import { calls, get, invoke, set, shared, wrongCalls } from './wrongCalls.cjs';

const addon = loadAddon();

interface Refusal {
  readonly thrown: boolean;
  readonly name: unknown;
  readonly code: unknown;
  readonly row: unknown;
  readonly message: string;
}

async function refusal(name: string, args: unknown[]): Promise<Refusal | undefined> {
  const outcome = await invoke(addon, name, args);
  const error = outcome.thrown ?? outcome.rejected;
  if (error === undefined) return undefined;
  const { name: kind, code, row, message } = error as Record<keyof Refusal, unknown>;
  return { thrown: outcome.thrown !== undefined, name: kind, code, row, message: String(message) };
}

test('the table names every asynchronous function', () => {
  const functions = Object.keys(addon).filter((name) => typeof addon[name as keyof NativeAddon] === 'function');
  const others = ['CancelToken', 'backends', 'exitNow', 'flushDenormals', 'resolveBackend'];
  const named = calls.map(({ name }) => name).filter((name) => !name.includes('.'));
  expect(named.sort()).toEqual(functions.filter((name) => !others.includes(name)).sort());
});

test.each(calls.map(({ name }) => name))('%s: every wrong argument is refused with a code', async (name) => {
  const unexpected: string[] = [];
  let count = 0;
  for (const wrong of wrongCalls()) {
    if (wrong.name !== name) continue;
    count++;
    const received = await refusal(name, wrong.args);
    const hasCode = typeof received?.code === 'string' && received.code.startsWith('ERR_');
    const isThrown = received?.thrown === true && (received.name === 'TypeError' || received.name === 'RangeError');
    const isRejected = received?.thrown === false && received.name === 'SieveError';
    const { rejects, throws } = wrong;
    const isExpected =
      rejects !== undefined
        ? isRejected && received.code === rejects.code && received.row === rejects.row
        : isThrown || (throws !== true && isRejected);
    if (!hasCode || !isExpected) unexpected.push(`${wrong.what}: ${JSON.stringify(received)}`);
  }
  expect(unexpected).toEqual([]);
  expect(count).toBeGreaterThan(30);
});

test.each(calls)('$name: arrays on shared memory work, with the same result', async ({ name, args, arrays }) => {
  const own = args();
  const mine = args();
  for (const where of arrays) set(mine, where, shared(get(mine, where)));
  const outcome = await invoke(addon, name, mine);
  expect(outcome).not.toHaveProperty('thrown');
  expect(outcome).not.toHaveProperty('rejected');
  expect(outcome).toEqual(await invoke(addon, name, own));
  for (const where of arrays)
    expect(Array.from(get(mine, where) as Iterable<unknown>)).toEqual(Array.from(get(own, where) as Iterable<unknown>));
});

test('an array that a getter of the request transfers is not computed with', async () => {
  for (const { name, args, objects, arrays } of calls) {
    if (name === 'ColumnStream') continue; // computes nothing, copies its labels
    const mine = args();
    const first = get(mine, arrays[0]!) as Float32Array;
    const last = get(mine, objects[objects.length - 1]!) as object;
    Object.defineProperty(last, 'backend', {
      get: () => {
        if (first.length > 0) structuredClone(first.buffer, { transfer: [first.buffer as ArrayBuffer] });
        return undefined;
      },
    });
    const received = await refusal(name, mine);
    // Labels and indices are copied before; everything else must be refused.
    if (first instanceof Int32Array && received === undefined) continue;
    expect({ name, code: received?.code, thrown: received?.thrown }).toEqual({ name, code: 'ERR_SHAPE', thrown: true });
  }
});
