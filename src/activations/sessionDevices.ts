import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { listSupportedBackends } from 'onnxruntime-node';
import type { Device } from '../types';

/** Why a device can not work here, found without touching it; `remedy` is one imperative sentence. */
export interface MissingDevice {
  readonly reason: string;
  readonly remedy: string;
}

/**
 * What is plainly not there: a provider that this build of ONNX Runtime lacks, a library that was not
 * downloaded, a machine without a graphics device. Cheap, and silent, while asking the drivers prints warnings of
 * theirs. undefined means "try it".
 */
export function findMissingDevice(device: Device): MissingDevice | undefined {
  if (device === 'cpu') return undefined;
  const backend = listSupportedBackends().find(({ name }) => name === device);
  if (backend === undefined) {
    return {
      reason: `ONNX Runtime has no ${device} provider for ${process.platform}-${process.arch}`,
      remedy: 'Use --device cpu (option `device`).',
    };
  }
  if (device === 'cuda' && !backend.bundled && !existsSync(cudaProviderLibrary())) {
    return {
      reason: 'the CUDA library of onnxruntime-node is not installed',
      remedy: 'Install it with `npm install onnxruntime-node --onnxruntime-node-install=cuda12`, or use --device cpu.',
    };
  }
  if (process.platform !== 'linux') return undefined;
  const nvidia = existsSync('/dev/nvidiactl') || existsSync('/dev/dxg');
  if (device === 'cuda' && !nvidia) {
    return {
      reason: 'no NVIDIA device is visible to this process',
      remedy: 'Check `nvidia-smi` and the rights of this process or container, or use --device cpu.',
    };
  }
  if (device === 'webgpu' && !nvidia && !hasRenderNode()) {
    return {
      reason: 'no graphics device is visible to this process',
      remedy: 'Give the process access to /dev/dri and install a Vulkan driver, or use --device cpu.',
    };
  }
  return undefined;
}

function cudaProviderLibrary(): string {
  const packageFile = createRequire(__filename).resolve('onnxruntime-node/package.json');
  const folder = join(dirname(packageFile), 'bin', 'napi-v6', process.platform, process.arch);
  return join(
    folder,
    process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so',
  );
}

function hasRenderNode(): boolean {
  const folder = '/dev/dri';
  return existsSync(folder) && readdirSync(folder).some((name) => name.startsWith('renderD'));
}
