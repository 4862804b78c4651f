import { defineConfig } from 'tsup';

const shared = {
  target: 'node20',
  platform: 'node' as const,
  splitting: false,
  shims: true,
  external: ['onnxruntime-node', 'sharp'],
};

export default defineConfig([
  {
    ...shared,
    entry: { index: 'src/index.ts' },
    format: ['cjs', 'esm'],
    dts: true,
    outExtension: ({ format }) => ({ js: format === 'cjs' ? '.cjs' : '.mjs' }),
  },
  {
    ...shared,
    entry: { cli: 'src/cli/main.ts', 'session-worker': 'src/activations/sessionWorker.ts' },
    format: ['cjs'],
    dts: false,
    outExtension: () => ({ js: '.cjs' }),
  },
]);
