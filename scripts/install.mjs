// The package's install script: takes the prebuilt addon where one fits, else builds it.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { BuildFailure, buildAddon, builtAddon, isAddonFresh, loadFailure, prebuiltAddon } from './native/build.mjs';
import { root } from './native/stamp.mjs';

const isCheckout = existsSync(path.join(root, 'package-lock.json'));

function install() {
  if (isCheckout && isAddonFresh() && loadFailure(builtAddon) === undefined) return;
  if (existsSync(prebuiltAddon)) {
    const failure = loadFailure(prebuiltAddon);
    if (failure === undefined) return;
    console.error(`onnx-sieve: the prebuilt addon does not load here (${failure.message}); building it instead`);
  }
  console.log('onnx-sieve: building the native addon (a minute or so)');
  buildAddon({ remember: isCheckout });
}

try {
  install();
} catch (error) {
  if (!(error instanceof BuildFailure)) throw error;
  console.error(`onnx-sieve: ${error.message}`);
  process.exitCode = 1;
}
