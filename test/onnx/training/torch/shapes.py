"""What exporters compute sizes with."""
import torch
from interpreter import operator


@operator('Shape')
def shape(node, x):
    return torch.tensor(list(x.shape)[node.attribute('start', 0):node.attribute('end')], dtype=torch.int64)


@operator('Size')
def size(node, x):
    return torch.tensor(x.numel(), dtype=torch.int64)


@operator('ConstantOfShape')
def constant_of_shape(node, dims):
    value = node.attribute('value')
    filling = torch.zeros(1, dtype=torch.float64) if value is None else value
    return filling.reshape(()).expand(dims.tolist()).clone()


@operator('Range')
def arange(node, start, limit, delta):
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)
