import { accuracyOnCifar } from './support/networks';

test('ResNet-56 has its published accuracy', async () => {
  const accuracy = await accuracyOnCifar('resnet56');
  if (accuracy !== undefined) expect(Math.abs(accuracy - 0.899)).toBeLessThan(0.005);
}, 300_000);
