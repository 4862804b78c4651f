"""Evaluates ONNX graphs with torch in float64, and their gradients with autograd: the oracle of the gradient rules.

One function for each operator, in the other files of this folder:

    @operator('Relu')
    def relu(node, x):
        return torch.relu(x)

`node` has attribute(name, default), opset, outputs (names, '' where left out), batch_norm ('batch' or 'frozen'),
inputs (names) and statistics, where new values of stored tensors are put by name. Inputs that are left out are None.
Several results are returned as a tuple.

Requests are lines of JSON, {"folder": …}, on the standard input; each is answered by a line.
"""
import json
import os
import sys
from types import SimpleNamespace

import numpy
import onnx
import torch
from onnx import numpy_helper

OPERATORS = {}


def operator(*names):
    def register(function):
        for name in names:
            OPERATORS[name] = function
        return function
    return register


def to_torch(array):
    tensor = torch.from_numpy(numpy.array(array))
    return tensor.double() if tensor.is_floating_point() else tensor


def attributes_of(node):
    result = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, onnx.TensorProto):
            value = to_torch(numpy_helper.to_array(value))
        result[attribute.name] = value
    return result


def run(model, tensors, batch_norm):
    """Adds every tensor of the graph to `tensors`; returns new values of stored statistics by name."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in ('', 'ai.onnx'))
    statistics = {}
    for proto in model.graph.node:
        if proto.domain not in ('', 'ai.onnx') or proto.op_type not in OPERATORS:
            raise NotImplementedError('no torch function for ' + proto.op_type)
        attributes = attributes_of(proto)
        node = SimpleNamespace(
            attribute=lambda name, default=None, found=attributes: found.get(name, default),
            opset=opset, op_type=proto.op_type, inputs=list(proto.input), outputs=list(proto.output),
            batch_norm=batch_norm, statistics=statistics)
        results = OPERATORS[proto.op_type](node, *[tensors[name] if name else None for name in proto.input])
        for name, value in zip(proto.output, results if isinstance(results, (tuple, list)) else (results,)):
            if name:
                tensors[name] = value
    return statistics


def answer(folder):
    request = json.load(open(os.path.join(folder, 'request.json')))
    model = onnx.load(os.path.join(folder, 'model.onnx'))
    tensors = {initializer.name: to_torch(numpy_helper.to_array(initializer)) for initializer in model.graph.initializer}

    def read(entry):
        data = numpy.fromfile(os.path.join(folder, entry['file']), dtype=entry['type'])
        return to_torch(data.reshape(entry['dims']))

    def write(file, tensor):
        tensor.detach().contiguous().numpy().astype('<f8').tofile(os.path.join(folder, file))

    for name, entry in request['feeds'].items():
        tensors[name] = read(entry)
    leaves = {name: tensors[name].requires_grad_(True) for name in request['gradients']}
    statistics = run(model, tensors, request['batchNorm'])
    total = sum((tensors[name] * read(entry)).sum() for name, entry in request['seeds'].items())
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True) if leaves else []
    for (name, leaf), gradient in zip(leaves.items(), found):
        write(request['gradients'][name], torch.zeros_like(leaf) if gradient is None else gradient)
    for name, file in request['outputs'].items():
        write(file, tensors[name].double())
    for name, file in request['statistics'].items():
        write(file, statistics[name])
    return {'statistics': list(statistics)}


def serve():
    torch.set_num_threads(1)
    for module in ('elementwise', 'dense', 'convolution', 'normalization', 'pooling', 'rearrangement', 'shapes'):
        __import__(module)
    for line in sys.stdin:
        try:
            result = answer(json.loads(line)['folder'])
        except Exception as error:  # goes to the test that asked
            result = {'error': type(error).__name__ + ': ' + str(error)}
        print(json.dumps(result), flush=True)
