import { accuracyOnCifar } from './support/networks';

test('ResNet-20 has its published accuracy', async () => {
  const accuracy = await accuracyOnCifar('resnet20');
  if (accuracy !== undefined) expect(Math.abs(accuracy - 0.881)).toBeLessThan(0.005);
}, 120_000);
