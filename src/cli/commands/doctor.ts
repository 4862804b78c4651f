import { Command } from 'commander';
import type { DoctorResult } from '../../compress/doctor';
import { formatBytes } from '../../report/format';
import { addCommonOptions } from '../options';
import type { CommonFlags } from '../options';
import { heading, printableLines, renderFacts, renderTable } from '../output';
import type { Style } from '../output';
import { verb } from '../verb';

export const doctorVerb = verb<CommonFlags, object>({
  define: () =>
    addCommonOptions(
      new Command('doctor')
        .summary('what this machine offers: kernels, devices, versions, and why something is missing')
        .description(
          'Loads the native core, lists its kernels, and opens a tiny model on every device, to say what works here and what would have to be done for the rest.',
        ),
    ).addHelpText('after', '\nExample:\n  $ onnx-sieve doctor --json'),
  read: () => ({}),
  run: async (_request, { signal }) => {
    const { doctor } = await import('../../compress/doctor');
    const result = await doctor({ signal });
    return { document: result, text: (style) => renderDoctor(result, style) };
  },
});

export function renderDoctor({ environment, kernels, devices }: DoctorResult, style: Style): string {
  return [
    renderFacts(
      [
        ['onnx-sieve', environment.version],
        ['ONNX Runtime', environment.onnxruntime ?? 'not found'],
        ['Node', environment.node],
        ['System', environment.platform],
        ['Processor', `${environment.cpuModel}, ${environment.cpuThreads} threads`],
        ['Memory', formatBytes(environment.memoryBytes)],
      ],
      style,
    ),
    heading('Kernels', style),
    kernels.error === undefined
      ? renderTable(
          [{ title: 'Kernel' }, { title: 'Works here' }, { title: 'Taken by default' }],
          kernels.backends.map(({ name, available }) => [
            name,
            available ? 'yes' : 'no: this processor lacks it',
            name === kernels.chosen ? 'yes' : '',
          ]),
          style,
        )
      : `${style.red(printableLines(kernels.error.message))}\n${kernels.error.remedy ?? ''}\n`,
    heading('Devices', style),
    renderFacts(
      devices.flatMap(({ device, works, reason, remedy }) => [
        [device, works ? 'works' : `does not work: ${reason ?? 'no reason known'}`] as const,
        ...(remedy === undefined ? [] : [['', remedy] as const]),
      ]),
      style,
    ),
  ].join('');
}
