import * as api from '../src/index';

/** What the package exports, in alphabetical order: a name that comes or goes is a decision, not an accident. */
const NAMES = [
  'CRITERIA',
  'SieveError',
  'analyze',
  'analyzeShard',
  'centerSeparationIndex',
  'centerSeparationIndexOfColumns',
  'checkEquivalence',
  'compareModels',
  'compress',
  'crossSeparationIndex',
  'cutChannels',
  'evaluate',
  'filterSeparation',
  'finetune',
  'inspect',
  'isSieveError',
  'listChannelGroups',
  'listLinearLayers',
  'maskChannels',
  'maskFromKeptSlots',
  'maskFromScores',
  'mergeAnalyses',
  'mergeNeighbours',
  'nearestNeighbours',
  'scoreNeighbours',
  'selectFilters',
  'separationIndex',
  'separationIndexOfColumns',
  'smoothnessIndex',
  'subsetSeparation',
];

test('the package exports these names and no others', () => {
  expect(Object.keys(api).sort()).toEqual(NAMES);
});

test('verbs and kernels are functions that give promises', async () => {
  const data = Float32Array.of(0, 1, 10, 11);
  const separation = api.separationIndex(data, Int32Array.of(0, 0, 1, 1), { rows: 4, dims: 1 });
  expect(separation).toBeInstanceOf(Promise);
  expect((await separation).si).toBe(1);
  await expect(api.inspect('nowhere.onnx')).rejects.toMatchObject({ code: 'ERR_MODEL_UNREADABLE' });
  await expect(api.compress('nowhere.onnx', { data: 'nowhere' })).rejects.toMatchObject({ code: 'ERR_OPTION' });
});

test('errors are told by name and code, also those of another realm', () => {
  const error = new api.SieveError('ERR_OPTION', 'Expected this but received that', { remedy: 'Do this.' });
  expect(error).toMatchObject({ name: 'SieveError', category: 'usage', remedy: 'Do this.' });
  expect(api.isSieveError(error)).toBe(true);
  expect(api.isSieveError({ name: 'SieveError', code: 'ERR_OPTION' })).toBe(true);
  expect(api.isSieveError(new Error('ERR_OPTION'))).toBe(false);
});

test('the criteria are those that compress takes', () => {
  expect(api.CRITERIA).toEqual(['si', 'si-rank', 'csi', 'reconstruction', 'l1', 'random', 'auto']);
});
