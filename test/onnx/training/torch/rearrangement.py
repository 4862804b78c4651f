import torch
from interpreter import operator


def numbers(tensor):
    return [int(value) for value in tensor.flatten()]


@operator('Reshape')
def reshape(node, x, shape):
    zero_copies = not node.attribute('allowzero', 0)
    return x.reshape([x.shape[axis] if size == 0 and zero_copies else size for axis, size in enumerate(numbers(shape))])


@operator('Flatten')
def flatten(node, x):
    axis = node.attribute('axis', 1)
    rows = 1
    for size in x.shape[:axis + x.dim() if axis < 0 else axis]:
        rows *= size
    return x.reshape(rows, -1)


def axes_of(node, operand):
    return node.attribute('axes') if operand is None else numbers(operand)


@operator('Squeeze')
def squeeze(node, x, axes=None):
    axes = axes_of(node, axes)
    gone = [axis for axis, size in enumerate(x.shape) if size == 1] if axes is None else [axis % x.dim() for axis in axes]
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in gone])


@operator('Unsqueeze')
def unsqueeze(node, x, axes=None):
    axes = axes_of(node, axes)
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator('Transpose')
def transpose(node, x):
    return x.permute(node.attribute('perm', list(reversed(range(x.dim())))))


@operator('Concat')
def concat(node, *parts):
    return torch.cat(parts, node.attribute('axis', 1))


@operator('Split')
def split(node, x, sizes=None):
    axis = node.attribute('axis', 0)
    sizes = node.attribute('split') if sizes is None else numbers(sizes)
    if sizes is not None:
        return torch.split(x, sizes, axis)
    return torch.split(x, -(-x.shape[axis] // node.attribute('num_outputs', len(node.outputs))), axis)


@operator('Slice')
def slice_(node, x, starts=None, ends=None, axes=None, steps=None):
    starts = node.attribute('starts') if starts is None else numbers(starts)
    ends = node.attribute('ends') if ends is None else numbers(ends)
    axes = node.attribute('axes', list(range(len(starts)))) if axes is None else numbers(axes)
    steps = [1] * len(starts) if steps is None else numbers(steps)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        x = x.index_select(axis, torch.tensor(list(range(x.shape[axis]))[start:end:step] if end > -2**31 else
                                              list(range(x.shape[axis]))[start::step]))
    return x


@operator('Gather')
def gather(node, x, indices):
    axis = node.attribute('axis', 0) % x.dim()
    chosen = x.index_select(axis, indices.flatten() % x.shape[axis])
    return chosen.reshape(list(x.shape[:axis]) + list(indices.shape) + list(x.shape[axis + 1:]))


@operator('Pad')
def pad(node, x, pads=None, value=None, axes=None):
    pads = node.attribute('pads') if pads is None else numbers(pads)
    axes = list(range(x.dim())) if axes is None else numbers(axes)
    filling = torch.tensor(node.attribute('value', 0.0)).double() if value is None else value.reshape(())
    for position, axis in enumerate(axes):
        for amount, first in ((pads[position], True), (pads[position + len(axes)], False)):
            if amount < 0:
                x = x.narrow(axis, -amount if first else 0, x.shape[axis] + amount)
            elif amount > 0:
                shape = list(x.shape)
                shape[axis] = amount
                x = torch.cat([filling.expand(shape), x] if first else [x, filling.expand(shape)], axis)
    return x


@operator('Expand')
def expand(node, x, shape):
    return x * torch.ones(numbers(shape), dtype=x.dtype)


@operator('Tile')
def tile(node, x, repeats):
    return x.repeat(numbers(repeats))


@operator('DepthToSpace')
def depth_to_space(node, x):
    n, c, h, w = x.shape
    b = node.attribute('blocksize')
    if node.attribute('mode', 'DCR') == 'CRD':
        return torch.nn.functional.pixel_shuffle(x, b)
    return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


@operator('SpaceToDepth')
def space_to_depth(node, x):
    n, c, h, w = x.shape
    b = node.attribute('blocksize')
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


@operator('Resize', 'Upsample')
def resize(node, x, *operands):
    """Whole factors, nearest neighbours."""
    if node.op_type == 'Upsample' or node.opset < 11:
        factors = [float(value) for value in (operands[0] if operands else node.attribute('scales'))]
    elif len(operands) > 2 and operands[2] is not None:
        factors = [int(size) / own for size, own in zip(operands[2], x.shape)]
    else:
        factors = [float(value) for value in operands[1]]
    for axis, factor in enumerate(factors):
        x = x.repeat_interleave(round(factor), axis)
    return x
