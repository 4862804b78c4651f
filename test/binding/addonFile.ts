import { existsSync } from 'node:fs';
import path from 'node:path';

/** The file that loadAddon takes in this checkout, for tests that load it in another thread or process. */
export function addonFile(): string {
  const override = process.env.ONNX_SIEVE_ADDON;
  const file = override ? path.resolve(override) : path.resolve(__dirname, '../../build/Release/onnx_sieve.node');
  if (!existsSync(file))
    throw new Error(`Expected the native addon at "${file}" but found none: run \`npm run build\``);
  return file;
}
