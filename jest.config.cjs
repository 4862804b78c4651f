const common = {
  testEnvironment: '<rootDir>/test/support/environment.cjs',
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022' }, module: { type: 'commonjs' } }] },
  modulePathIgnorePatterns: ['<rootDir>/build', '<rootDir>/dist'],
};

/** Two projects: `unit` is `npm test`; `full` holds the checks that take minutes. */
module.exports = {
  // A busy machine is slow, not wrong: a test that hangs still ends.
  testTimeout: 60_000,
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/test/**/*.test.ts'] },
    { ...common, displayName: 'full', testMatch: ['<rootDir>/test/**/*.full.ts'] },
  ],
};
