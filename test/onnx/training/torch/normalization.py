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
