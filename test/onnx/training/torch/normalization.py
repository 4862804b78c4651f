import torch
from interpreter import operator


@operator('BatchNormalization')
def batch_normalization(node, x, scale, bias, mean, variance):
    training = node.batch_norm == 'batch'
    running_mean, running_variance = mean.detach().clone(), variance.detach().clone()
    y = torch.nn.functional.batch_norm(
        x, running_mean, running_variance, scale, bias, training=training,
        momentum=1 - node.attribute('momentum', 0.9), eps=node.attribute('epsilon', 1e-5))
    if training:
        node.statistics[node.inputs[3]] = running_mean
        node.statistics[node.inputs[4]] = running_variance
    return y


@operator('InstanceNormalization')
def instance_normalization(node, x, scale, bias):
    return torch.nn.functional.instance_norm(x, weight=scale, bias=bias, eps=node.attribute('epsilon', 1e-5))


@operator('GroupNormalization')
def group_normalization(node, x, scale, bias):
    groups = node.attribute('num_groups')
    if node.opset < 21:  # a value for each group
        scale, bias = [value.repeat_interleave(x.shape[1] // groups) for value in (scale, bias)]
    return torch.nn.functional.group_norm(x, groups, scale, bias, node.attribute('epsilon', 1e-5))


@operator('LayerNormalization')
def layer_normalization(node, x, scale, bias=None):
    shape = x.shape[node.attribute('axis', -1):] if node.attribute('axis', -1) < 0 else x.shape[node.attribute('axis'):]
    y = torch.nn.functional.layer_norm(x, shape, eps=node.attribute('epsilon', 1e-5)) * scale
    return y if bias is None else y + bias


@operator('LRN')
def local_response_normalization(node, x):
    size = node.attribute('size')
    before, after = (size - 1) // 2, size // 2
    squares = torch.nn.functional.pad((x * x).movedim(1, -1), (before, after)).unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    s = node.attribute('bias', 1.0) + node.attribute('alpha', 1e-4) / size * squares
    return x / s ** node.attribute('beta', 0.75)
