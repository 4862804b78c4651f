import math

import torch
import torch.nn.functional as F
from interpreter import operator


def lists(node, rank, kernel):
    return (node.attribute('strides', [1] * rank), node.attribute('dilations', [1] * rank),
            node.attribute('pads', [0] * (2 * rank)), node.attribute('auto_pad', 'NOTSET'), list(kernel))


def split(total, upper):
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


@operator('Conv')
def conv(node, x, weight, bias=None):
    rank = x.dim() - 2
    strides, dilations, pads, mode, kernel = lists(node, rank, weight.shape[2:])
    margins = []
    for axis in reversed(range(rank)):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        begin, end = pads[axis], pads[axis + rank]
        if mode == 'VALID':
            begin = end = 0
        elif mode.startswith('SAME'):
            count = math.ceil(x.shape[axis + 2] / strides[axis])
            begin, end = split(max(0, (count - 1) * strides[axis] + reach - x.shape[axis + 2]), mode == 'SAME_UPPER')
        margins += [begin, end]
    function = [F.conv1d, F.conv2d, F.conv3d][rank - 1]
    return function(F.pad(x, margins), weight, bias, strides, 0, dilations, node.attribute('group', 1))


@operator('ConvTranspose')
def conv_transpose(node, x, weight, bias=None):
    """Without pads, on zeros at the end as the output padding says, and then cut."""
    rank = x.dim() - 2
    strides, dilations, pads, mode, kernel = lists(node, rank, weight.shape[2:])
    extra = node.attribute('output_padding', [0] * rank)
    wanted = node.attribute('output_shape')
    function = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][rank - 1]
    y = function(x, weight, None, strides, 0, 0, node.attribute('group', 1), dilations)
    for axis in range(rank):
        full = (x.shape[axis + 2] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 + extra[axis]
        y = F.pad(y, [0, 0] * (rank - 1 - axis) + [0, extra[axis]])
        begin, end = pads[axis], pads[axis + rank]
        if wanted is not None or mode.startswith('SAME'):
            size = x.shape[axis + 2] * strides[axis] if wanted is None else wanted[axis - rank]
            begin, end = split(max(0, full - size), mode == 'SAME_UPPER')
        y = y.narrow(axis + 2, begin, full - begin - end)
    return y if bias is None else y + bias.reshape([-1] + [1] * rank)
