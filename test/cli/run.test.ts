import type { RunContext } from '../../src/cli/verb';
import { runCommandLine } from '../../src/cli/run';
import type { CompressResult, InspectResult } from '../../src/compress/api';
import { SieveError } from '../../src/errors';
import type { SieveErrorCode } from '../../src/errors';
import { COMPRESSED, INSPECTED } from './results';
import { fakeWorld } from './world';

const inspect = jest.fn<Promise<InspectResult>, [string, object]>();
const compress = jest.fn<Promise<CompressResult>, [string, RunContext]>();
jest.mock('../../src/compress/inspect', () => ({ inspect }), { virtual: true });
jest.mock('../../src/compress/compress', () => ({ compress }), { virtual: true });

const COMPRESS = ['compress', 'm.onnx', '--data', 'd', '--flops', '0.5', '-o', 'o.onnx'];

beforeEach(() => {
  inspect.mockReset().mockResolvedValue(INSPECTED);
  compress.mockReset().mockResolvedValue(COMPRESSED);
});

test('a result goes to stdout as text, and the exit code is 0', async () => {
  const world = fakeWorld();
  expect(await runCommandLine(['inspect', 'm.onnx'], world)).toBe(0);
  expect(world.stdout.text).toContain('269,722');
  expect(world.stderr.text).toBe('');
  expect(inspect).toHaveBeenCalledWith('m.onnx', { signal: world.signal });
});

test('with --json stdout is exactly one document; progress and messages go to stderr', async () => {
  const world = fakeWorld();
  compress.mockImplementation((_model, { onProgress, onMessage }) => {
    onMessage('on cpu');
    onProgress({ stage: 'profile', fraction: 0 });
    onProgress({ stage: 'profile', fraction: 1 });
    return Promise.resolve(COMPRESSED);
  });
  expect(await runCommandLine([...COMPRESS, '--json'], world)).toBe(0);
  const { model, ...expected } = COMPRESSED;
  expect(model).toBeDefined();
  expect(JSON.parse(world.stdout.text)).toEqual(expected);
  expect(world.stdout.text.match(/\n/g)).toHaveLength(1);
  expect(world.stderr.text).toMatch(/^on cpu\nprofile\nprofile: done after \d\.\d s\n$/);
});

test('--quiet silences progress and messages, not the result', async () => {
  const world = fakeWorld();
  compress.mockImplementation((_model, { onProgress, onMessage }) => {
    onMessage('on cpu');
    onProgress({ stage: 'profile', fraction: 0.5 });
    return Promise.resolve(COMPRESSED);
  });
  expect(await runCommandLine([...COMPRESS, '--quiet'], world)).toBe(0);
  expect(world.stderr.text).toBe('');
  expect(world.stdout.text).toContain('Written to small.onnx');
});

test('compress gets the command as it can be typed again', async () => {
  await runCommandLine([...COMPRESS, '--report', "it's a report.html"], fakeWorld());
  expect(compress).toHaveBeenCalledWith(
    'm.onnx',
    expect.objectContaining({
      command: `onnx-sieve compress m.onnx --data d --flops 0.5 -o o.onnx --report 'it'\\''s a report.html'`,
      report: "it's a report.html",
    }),
  );
});

test('a budget that was not met is a result with exit code 1', async () => {
  compress.mockResolvedValue({ ...COMPRESSED, unmet: 'the floor of every group was reached' });
  const world = fakeWorld();
  expect(await runCommandLine(COMPRESS, world)).toBe(1);
  expect(world.stdout.text).toContain('Budget not met: the floor of every group was reached');
  const json = fakeWorld();
  expect(await runCommandLine([...COMPRESS, '--json'], json)).toBe(1);
  expect(JSON.parse(json.stdout.text)).toMatchObject({ unmet: 'the floor of every group was reached' });
});

test.each([
  ['ERR_OPTION', 2],
  ['ERR_USAGE', 2],
  ['ERR_OUTPUT_EXISTS', 2],
  ['ERR_MODEL_UNREADABLE', 3],
  ['ERR_DATA_MISMATCH', 3],
  ['ERR_NON_FINITE', 3],
  ['ERR_OUTPUT_UNWRITABLE', 3],
  ['ERR_BUDGET', 1],
  ['ERR_VERIFICATION', 4],
  ['ERR_DEVICE', 4],
  ['ERR_NATIVE_MISSING', 4],
  ['ERR_CANCELLED', 130],
] as const satisfies readonly (readonly [SieveErrorCode, number])[])('%s ends with %i', async (code, exitCode) => {
  inspect.mockRejectedValue(new SieveError(code, 'Expected this but received that', { remedy: 'Do so.' }));
  const world = fakeWorld();
  expect(await runCommandLine(['inspect', 'm.onnx'], world)).toBe(exitCode);
  expect(world.stdout.text).toBe('');
  expect(world.stderr.text).toBe(exitCode === 130 ? 'Interrupted\n' : 'Expected this but received that\nDo so.\n');
});

test('with --json a failure is one document as well', async () => {
  inspect.mockRejectedValue(new SieveError('ERR_MODEL_UNREADABLE', 'Expected an ONNX file', { remedy: 'Check it.' }));
  const world = fakeWorld();
  expect(await runCommandLine(['inspect', 'm.onnx', '--json'], world)).toBe(3);
  expect(JSON.parse(world.stdout.text)).toEqual({
    error: { code: 'ERR_MODEL_UNREADABLE', message: 'Expected an ONNX file', remedy: 'Check it.', exitCode: 3 },
  });
  expect(world.stderr.text).toBe('Expected an ONNX file\nCheck it.\n');
  const usage = fakeWorld();
  expect(await runCommandLine(['inspect', '--json'], usage)).toBe(2);
  expect(JSON.parse(usage.stdout.text)).toMatchObject({ error: { code: 'ERR_USAGE', exitCode: 2 } });
});

test('what nobody expected ends with 4 and names --debug, which shows the stack', async () => {
  inspect.mockRejectedValue(new TypeError('x is not a function'));
  const world = fakeWorld();
  expect(await runCommandLine(['inspect', 'm.onnx'], world)).toBe(4);
  expect(world.stderr.text).toMatch(/^Unexpected failure: x is not a function\nRun .*--debug/);
  expect(world.stderr.text).not.toContain('    at ');
  const debug = fakeWorld();
  expect(await runCommandLine(['inspect', 'm.onnx', '--debug'], debug)).toBe(4);
  expect(debug.stderr.text).toContain('    at ');
});

test('an interruption ends with 130, whatever the interrupted part throws', async () => {
  const world = fakeWorld();
  inspect.mockImplementation(() => {
    world.controller.abort('SIGINT');
    return Promise.reject(new Error('worker terminated'));
  });
  expect(await runCommandLine(['inspect', 'm.onnx'], world)).toBe(130);
  expect(world.stderr.text).toBe('Interrupted\n');
});

test('colours only on a terminal that wants them', async () => {
  const esc = '\u001b[';
  const run = async (options: Parameters<typeof fakeWorld>[0]): Promise<string> => {
    const world = fakeWorld(options);
    await runCommandLine(['inspect', 'm.onnx'], world);
    return world.stdout.text;
  };
  expect(await run({ isTTY: true })).toContain(esc);
  expect(await run({ isTTY: false, environment: { FORCE_COLOR: '1', CI: 'true' } })).not.toContain(esc);
  expect(await run({ isTTY: true, environment: { NO_COLOR: '1' } })).not.toContain(esc);
  expect(await run({ isTTY: true, environment: { TERM: 'dumb' } })).not.toContain(esc);
});

test('names from a model can not steer the terminal', async () => {
  const world = fakeWorld();
  await runCommandLine(['inspect', 'm.onnx'], world);
  expect(world.stdout.text).not.toContain('\u001b');
  expect(world.stdout.text).toContain('slice\\u{1b}[2J');
  inspect.mockRejectedValue(new SieveError('ERR_MODEL_UNSUPPORTED', 'node "\u001b]0;x\u0007"'));
  await runCommandLine(['inspect', 'm.onnx'], world);
  expect(world.stderr.text).toBe('node "\\u{1b}]0;x\\u{7}"\n');
});
