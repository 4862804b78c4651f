import { createLines, createProgress } from '../../src/cli/progress';
import { Capture } from './world';

describe('plain lines', () => {
  function recorder(): { stream: Capture; at: (ms: number) => void; progress: ReturnType<typeof createLines> } {
    let time = 0;
    const stream = new Capture();
    return { stream, at: (ms) => (time = ms), progress: createLines(stream, () => time) };
  }

  test('one for each stage and about every tenth', () => {
    const { stream, at, progress } = recorder();
    for (let i = 0; i <= 1000; i++) {
      at(i * 20);
      progress.onProgress({ stage: 'profile', fraction: i / 1000 });
    }
    const lines = stream.text.trimEnd().split('\n');
    expect(lines[0]).toBe('profile');
    expect(lines.at(-1)).toBe('profile: done after 20 s');
    expect(lines).toContain('profile: 50 %');
    expect(lines.length).toBeLessThanOrEqual(11);
    expect(lines.length).toBeGreaterThan(8);
  });

  test('not more than one a second, and a pass that begins anew has no line of its own', () => {
    const { stream, at, progress } = recorder();
    for (let pass = 0; pass < 50; pass++) {
      for (let i = 0; i <= 10; i++) {
        at(pass * 10 + i);
        progress.onProgress({ stage: 'activations', fraction: i / 10 });
      }
    }
    expect(stream.text).toBe('activations\nactivations: done after 0.0 s\n');
  });

  test('a long second run of a stage is shown again, from its own beginning', () => {
    const { stream, at, progress } = recorder();
    for (let i = 0; i <= 200; i++) {
      at(i * 100);
      progress.onProgress({ stage: 'evaluate', fraction: (i % 101) / 100 });
    }
    const lines = stream.text.trimEnd().split('\n');
    expect(lines.filter((line) => line === 'evaluate')).toHaveLength(1);
    expect(lines.filter((line) => line === 'evaluate: done after 10 s')).toHaveLength(1);
    expect(lines.filter((line) => /^evaluate: 5\d %$/.test(line))).toHaveLength(2);
  });

  test('stages that take turns are each named once, with their detail', () => {
    const { stream, progress } = recorder();
    for (let i = 0; i < 5; i++) {
      progress.onProgress({ stage: 'read', fraction: 0.1, message: 'conv1' });
      progress.onProgress({ stage: 're-fit', fraction: 0.1 });
    }
    progress.onMessage('a message\u001b[31m');
    expect(stream.text).toBe('read (conv1)\nre-fit\na message\\u{1b}[31m\n');
  });

  test('a stage that is over at once is one line', () => {
    const { stream, progress } = recorder();
    progress.onProgress({ stage: 'write', fraction: 1 });
    progress.onProgress({ stage: 'write', fraction: 1 });
    expect(stream.text).toBe('write: done\n');
  });
});

test('a terminal gets a bar, keeps messages above it and its cursor back', () => {
  const stream = new Capture(true);
  // What cli-progress asks of a terminal beside writing.
  Object.assign(stream, { cursorTo: () => true, clearLine: () => true, moveCursor: () => true });
  const progress = createProgress(stream, false);
  progress.onMessage('before any bar');
  progress.onProgress({ stage: 'profile', fraction: 0.5, message: 'conv1' });
  progress.onMessage('while a bar is there');
  progress.onProgress({ stage: 'select', fraction: 0.25 });
  progress.stop();
  expect(stream.text).toContain('before any bar\n');
  expect(stream.text).toContain('while a bar is there\n');
  expect(stream.text).toMatch(/50% profile conv1/);
  expect(stream.text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stream.text.lastIndexOf('\u001b[?25l'));
});

test('quiet writes nothing', () => {
  const stream = new Capture();
  const progress = createProgress(stream, true);
  progress.onProgress({ stage: 'x', fraction: 0 });
  progress.onMessage('text');
  progress.stop();
  expect(stream.text).toBe('');
});
