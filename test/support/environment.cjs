const { TestEnvironment } = require('jest-environment-node');

// Native modules check `instanceof` against the outer realm's typed arrays, so the test realm shares them.
const SHARED_CONSTRUCTORS = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

module.exports = class SharedRealmEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    for (const name of SHARED_CONSTRUCTORS) this.global[name] = globalThis[name];
  }
};
