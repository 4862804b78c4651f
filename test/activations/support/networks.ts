import { predict } from '../../../src/activations/activations';
import { openDataset } from '../../../src/activations/datasets/open';
import { createSession } from '../../../src/activations/session';
import { RGB_INPUT } from './images';
import { sharedFile } from './python';

/** Top-1 accuracy of a real network on the 5,000 CIFAR-10 test images; undefined (and a printed reason) without them. */
export async function accuracyOnCifar(name: string): Promise<number | undefined> {
  const archive = sharedFile('data/cifar10-test.tar.xz');
  const path = sharedFile(`models/${name}.onnx`);
  if (archive === undefined || path === undefined) {
    console.log(`skipped: ../shared has no ${path === undefined ? `models/${name}.onnx` : 'data/cifar10-test.tar.xz'}`);
    return undefined;
  }
  const input = { ...RGB_INPUT, height: 32, width: 32 };
  const dataset = await openDataset(archive, { input, classCount: 10 });
  const session = await createSession({ path }, { device: 'cpu' });
  try {
    const indices = dataset.labels.map((_, index) => index);
    const { logits, labels } = await predict({ session, input, dataset, indices, logitsName: 'logits' });
    const correct = labels.filter((label, row) => {
      const scores = logits.subarray(10 * row, 10 * row + 10);
      return scores.indexOf(Math.max(...scores)) === label;
    });
    return correct.length / labels.length;
  } finally {
    await session.close();
  }
}
