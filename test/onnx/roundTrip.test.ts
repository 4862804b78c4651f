import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { parseModel } from '../../src/onnx/load';
import { serializeModel } from '../../src/onnx/save';

const models = resolve(__dirname, '../../../shared/models');

describe('models as exporters wrote them', () => {
  const files = existsSync(models) ? readdirSync(models).filter((name) => name.endsWith('.onnx')) : [];
  if (files.length === 0) console.warn(`not run on real models: ${models} is missing`);

  test.each(files.length > 0 ? files : ['(none)'])('%s comes back byte for byte', (name) => {
    if (files.length === 0) return;
    const bytes = readFileSync(join(models, name));
    const model = parseModel(bytes);
    expect(model.graph.nodes.length).toBeGreaterThan(5);
    // Same array when nothing changed; and the re-encoding of everything is the same bytes as well.
    expect(serializeModel(model)).toBe(bytes);
    const touched = { ...model, metadata: new Map(model.metadata) };
    expect(Buffer.compare(serializeModel(touched), bytes)).toBe(0);
  });
});
