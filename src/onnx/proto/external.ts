import type { Model, Tensor } from '../ir';
import type { TensorProto } from './generated/onnx_pb';
import { sourceOf } from './origin';
import { externalReferenceOf, type ExternalReference } from './readTensor';

/** True where the tensor's data still lies in an external file (edited tensors hold theirs in memory). */
export function isExternal(tensor: Tensor): boolean {
  return referenceOf(tensor) !== undefined;
}

/** Initializers whose data lies outside the model file. */
export function externalReferences(model: Model): { tensor: string; reference: ExternalReference }[] {
  return [...model.graph.initializers.values()].flatMap((tensor) => {
    const reference = referenceOf(tensor);
    return reference === undefined ? [] : [{ tensor: tensor.name, reference }];
  });
}

/** Whether the file that the model came from kept any of its weights outside. */
export function cameWithExternalData(model: Model): boolean {
  const source = sourceOf<object, Model>(model.origin);
  return (
    externalReferences(model).length > 0 || (source !== undefined && externalReferences(source.snapshot).length > 0)
  );
}

function referenceOf(tensor: Tensor): ExternalReference | undefined {
  const source = sourceOf<TensorProto, Tensor>(tensor.origin);
  return source?.snapshot.bytes === tensor.bytes ? externalReferenceOf(source.message) : undefined;
}
