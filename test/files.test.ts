import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SieveError } from '../src/errors';
import { assertWritable, writeFileAtomic } from '../src/files';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sieve-files-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('writeFileAtomic', () => {
  test('writes text and bytes and leaves nothing else behind', async () => {
    await writeFileAtomic(join(folder, 'a.txt'), 'größer');
    await writeFileAtomic(join(folder, 'b.bin'), Uint8Array.from([0, 255, 1]).subarray(1));
    await writeFileAtomic(join(folder, 'empty'), '');
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('größer');
    expect([...readFileSync(join(folder, 'b.bin'))]).toEqual([255, 1]);
    expect(readdirSync(folder).sort()).toEqual(['a.txt', 'b.bin', 'empty']);
  });

  test('chunks are written one before the next is made, and what they throw leaves nothing', async () => {
    const shared = new Uint8Array(2);
    function* chunks(): Generator<Uint8Array> {
      for (const value of [1, 2, 3]) yield shared.fill(value);
    }
    await writeFileAtomic(join(folder, 'chunks'), chunks());
    expect([...readFileSync(join(folder, 'chunks'))]).toEqual([1, 1, 2, 2, 3, 3]);

    const failure = new SieveError('ERR_MODEL_UNREADABLE', 'the weights are gone', { remedy: 'Bring them back.' });
    function* broken(): Generator<Uint8Array> {
      yield shared;
      throw failure;
    }
    await expect(writeFileAtomic(join(folder, 'broken'), broken())).rejects.toBe(failure);
    expect(readdirSync(folder)).toEqual(['chunks']);
  });

  test('an existing file stays as it is without force', async () => {
    const path = join(folder, 'kept');
    writeFileSync(path, 'old');
    await expect(writeFileAtomic(path, 'new')).rejects.toMatchObject({
      code: 'ERR_OUTPUT_EXISTS',
      category: 'usage',
      remedy: expect.stringContaining('--force') as string,
    });
    await expect(assertWritable(path)).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  test('of two writers without force exactly one wins', async () => {
    const path = join(folder, 'race');
    const results = await Promise.allSettled(['one', 'two', 'three'].map((text) => writeFileAtomic(path, text)));
    const winners = results.filter(({ status }) => status === 'fulfilled');
    expect(winners).toHaveLength(1);
    expect(readFileSync(path, 'utf8')).toBe(['one', 'two', 'three'][results.indexOf(winners[0]!)]);
    expect(readdirSync(folder)).toEqual(['race']);
  });

  test('force replaces the file and keeps its permissions', async () => {
    const path = join(folder, 'replaced');
    writeFileSync(path, 'old');
    chmodSync(path, 0o640);
    await assertWritable(path, { force: true });
    await writeFileAtomic(path, 'new', { force: true });
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  test.each([
    ['a folder', () => folder],
    ['a folder that does not exist', () => join(folder, 'missing', 'file')],
    ['a file as folder', () => join(folder, 'file', 'below')],
    ['a device', () => '/dev/null'],
  ])('%s is refused, also with force', async (_name, target) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'file'), '');
    const rejected = { code: 'ERR_OUTPUT_UNWRITABLE', category: 'input', remedy: expect.any(String) as string };
    await expect(assertWritable(target(), { force: true })).rejects.toMatchObject(rejected);
    await expect(writeFileAtomic(target(), 'x', { force: true })).rejects.toMatchObject(rejected);
    expect(readdirSync(folder)).toEqual(['file']);
  });
});
