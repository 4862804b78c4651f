import { SieveError } from '../errors';

const LONGEST_REASON = 400;

/** An error of ONNX Runtime without line breaks and without the place in its own source it came from. */
export function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = message
    .replace(/\s+/g, ' ')
    .replace(/^\/\S+\.(?:cc|h|cpp):\d+ .*? was false\. /, '')
    .replace(/^\/\S+\.(?:cc|h|cpp):\d+ /, '')
    .trim();
  return line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON - 1)}…` : line;
}

/** Why a run failed, by what ONNX Runtime says about it. */
export function runtimeError(error: unknown): SieveError {
  const reason = oneLine(error);
  if (/invalid dimensions|invalid rank|unexpected input data type/i.test(reason)) {
    return new SieveError(
      'ERR_SHAPE',
      `Expected arrays of the model's input shape for the run but received: ${reason}`,
      { cause: error },
    );
  }
  if (/failed to allocate|out of memory|bad_alloc/i.test(reason)) {
    return new SieveError('ERR_OUT_OF_MEMORY', `Expected enough memory for the run but received: ${reason}`, {
      cause: error,
      remedy: 'Use a smaller batch size.',
    });
  }
  return new SieveError('ERR_RUNTIME', `ONNX Runtime could not run the model: ${reason}`, { cause: error });
}

/** Why no session was opened although the device itself was not to blame. `subject` names the model. */
export function modelError(subject: string, reason: string): SieveError {
  if (/protobuf parsing failed|doesn't exist|model data pointer is null/i.test(reason)) {
    return new SieveError('ERR_MODEL_UNREADABLE', `Expected an ONNX model for ${subject} but received: ${reason}`, {
      remedy: 'Check that the file is a complete .onnx file.',
    });
  }
  return new SieveError(
    'ERR_MODEL_UNSUPPORTED',
    `Expected a model that ONNX Runtime can open for ${subject} but received its refusal: ${reason}`,
    { remedy: 'Check the model with the ONNX checker, and that its operators are standard ones.' },
  );
}

/** True where the model, not the device, is the reason why a session could not be opened. */
export function blamesModel(reason: string): boolean {
  return /protobuf parsing failed|load model|invalid model|invalid graph|no graph was found|not a registered function|type error|fail to load|shape_inference|opset/i.test(
    reason,
  );
}
