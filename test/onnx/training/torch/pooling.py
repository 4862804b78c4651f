"""Pools gather every window by index from a padded copy: autograd then needs no pooling operator."""
import itertools
import math

import torch
from interpreter import operator


def axis_geometry(node, axis, length, kernel):
    rank = len(kernel)
    stride = node.attribute('strides', [1] * rank)[axis]
    dilation = node.attribute('dilations', [1] * rank)[axis]
    pads = node.attribute('pads', [0] * (2 * rank))
    begin, end = pads[axis], pads[axis + rank]
    reach = (kernel[axis] - 1) * dilation + 1
    mode = node.attribute('auto_pad', 'NOTSET')
    if mode == 'VALID':
        begin = end = 0
    elif mode.startswith('SAME'):
        total = max(0, (math.ceil(length / stride) - 1) * stride + reach - length)
        begin = total // 2 if mode == 'SAME_UPPER' else total - total // 2
        end = total - begin
    free = length + begin + end - reach
    count = free // stride + 1
    if node.attribute('ceil_mode', 0):
        count = math.ceil(free / stride) + 1
        if (count - 1) * stride >= length + begin:
            count -= 1
    starts = [position * stride - begin for position in range(count)]
    return [[start + tap * dilation for tap in range(kernel[axis])] for start in starts], begin, end


def windows(node, x, fill):
    """[N, C, *output, taps], and of each tap whether it lies in the input, and in the input with its pads."""
    kernel = node.attribute('kernel_shape')
    spatial = x.shape[2:]
    geometry = [axis_geometry(node, axis, length, kernel) for axis, length in enumerate(spatial)]
    margin = max(abs(at) + max(spatial) for taps, _, _ in geometry for row in taps for at in row)
    padded = torch.nn.functional.pad(x, [margin, margin] * len(spatial), value=fill)
    output = [len(taps) for taps, _, _ in geometry]
    index, inside, counted = [], [], []
    for place in itertools.product(*[range(size) for size in output]):
        for tap in itertools.product(*[range(size) for size in kernel]):
            at = [geometry[axis][0][place[axis]][tap[axis]] for axis in range(len(spatial))]
            flat = 0
            for position, length in zip(at, padded.shape[2:]):
                flat = flat * length + position + margin
            index.append(flat)
            inside.append(all(0 <= p < n for p, n in zip(at, spatial)))
            counted.append(all(-g[1] <= p < n + g[2] for p, n, g in zip(at, spatial, geometry)))
    taps = padded.flatten(2)[:, :, torch.tensor(index)]
    shape = output + [math.prod(kernel)]
    return taps.reshape(list(x.shape[:2]) + shape), torch.tensor(inside).reshape(shape), torch.tensor(counted).reshape(shape)


@operator('MaxPool')
def max_pool(node, x):
    return windows(node, x, -math.inf)[0].amax(-1)


@operator('AveragePool')
def average_pool(node, x):
    taps, inside, counted = windows(node, x, 0.0)
    return taps.sum(-1) / (counted if node.attribute('count_include_pad', 0) else inside).sum(-1)


@operator('GlobalAveragePool')
def global_average_pool(node, x):
    return x.mean(list(range(2, x.dim())), keepdim=True)


@operator('GlobalMaxPool')
def global_max_pool(node, x):
    return x.amax(list(range(2, x.dim())), keepdim=True)


def reduction(name, function, axes_input_since=18):
    @operator(name)
    def reduce(node, x, axes=None):
        if node.opset < axes_input_since:
            axes = node.attribute('axes', [])
        axes = [] if axes is None else [int(axis) for axis in axes]
        if not axes and node.opset >= axes_input_since and node.attribute('noop_with_empty_axes', 0):
            return x
        return function(x, axes or list(range(x.dim())), bool(node.attribute('keepdims', 1)))


reduction('ReduceSum', lambda x, axes, keep: x.sum(axes, keepdim=keep), 13)
reduction('ReduceMean', lambda x, axes, keep: x.mean(axes, keepdim=keep))
reduction('ReduceMax', lambda x, axes, keep: x.amax(axes, keepdim=keep))
reduction('ReduceMin', lambda x, axes, keep: x.amin(axes, keepdim=keep))
reduction('ReduceL1', lambda x, axes, keep: x.abs().sum(axes, keepdim=keep))
reduction('ReduceL2', lambda x, axes, keep: (x * x).sum(axes, keepdim=keep).sqrt())
reduction('ReduceSumSquare', lambda x, axes, keep: (x * x).sum(axes, keepdim=keep))
reduction('ReduceLogSum', lambda x, axes, keep: x.sum(axes, keepdim=keep).log())
reduction('ReduceLogSumExp', lambda x, axes, keep: x.logsumexp(axes, keepdim=keep))
