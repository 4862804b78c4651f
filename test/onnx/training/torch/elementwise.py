import functools

import torch
import torch.nn.functional as F
from interpreter import operator


def plain(function):
    return lambda node, *operands: function(*operands)


for name, function in {
    'Abs': torch.abs, 'Erf': torch.erf, 'Exp': torch.exp, 'Identity': lambda x: x, 'Log': torch.log, 'Mish': F.mish,
    'HardSwish': F.hardswish, 'Neg': torch.neg, 'Not': torch.logical_not, 'Reciprocal': torch.reciprocal,
    'Relu': torch.relu, 'Sigmoid': torch.sigmoid, 'Sign': torch.sign, 'Softplus': lambda x: F.softplus(x, threshold=1e9),
    'Softsign': F.softsign, 'Sqrt': torch.sqrt, 'Tanh': torch.tanh, 'Floor': torch.floor, 'Ceil': torch.ceil,
    'Round': torch.round,
    'Add': torch.add, 'Sub': torch.sub, 'Mul': torch.mul, 'Pow': torch.pow, 'Where': torch.where,
    'And': torch.logical_and, 'Or': torch.logical_or, 'Xor': torch.logical_xor, 'Equal': torch.eq,
    'Greater': torch.gt, 'GreaterOrEqual': torch.ge, 'Less': torch.lt, 'LessOrEqual': torch.le,
}.items():
    operator(name)(plain(function))


@operator('Div')
def div(node, a, b):
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode='trunc')


@operator('LeakyRelu')
def leaky_relu(node, x):
    return F.leaky_relu(x, node.attribute('alpha', 0.01))


@operator('PRelu')
def p_relu(node, x, slope):
    return torch.where(x > 0, x, slope * x)


@operator('Elu')
def elu(node, x):
    return F.elu(x, node.attribute('alpha', 1.0))


@operator('Selu')
def selu(node, x):
    return node.attribute('gamma', 1.05070102) * F.elu(x, node.attribute('alpha', 1.6732632))


@operator('Celu')
def celu(node, x):
    return F.celu(x, node.attribute('alpha', 1.0))


@operator('ThresholdedRelu')
def thresholded_relu(node, x):
    return F.threshold(x, node.attribute('alpha', 1.0), 0.0)


@operator('HardSigmoid')
def hard_sigmoid(node, x):
    return torch.clamp(node.attribute('alpha', 0.2) * x + node.attribute('beta', 0.5), 0, 1)


@operator('Gelu')
def gelu(node, x):
    return F.gelu(x, approximate=node.attribute('approximate', 'none'))


@operator('Swish')
def swish(node, x):
    return x * torch.sigmoid(node.attribute('alpha', 1.0) * x)


@operator('Clip')
def clip(node, x, low=None, high=None):
    if node.opset < 11:
        low, high = node.attribute('min'), node.attribute('max')
    if low is not None:
        x = torch.maximum(x, torch.as_tensor(low, dtype=x.dtype))
    return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype))


@operator('Sum')
def total(node, *operands):
    return functools.reduce(torch.add, operands)


@operator('Mean')
def mean(node, *operands):
    return functools.reduce(torch.add, operands) / len(operands)


@operator('Max')
def maximum(node, *operands):
    return functools.reduce(torch.maximum, operands)


@operator('Min')
def minimum(node, *operands):
    return functools.reduce(torch.minimum, operands)


ELEMENT_TYPES = {1: torch.float64, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float64, 11: torch.float64,
                 16: torch.float64}


@operator('Cast')
def cast(node, x):
    return x.to(ELEMENT_TYPES[node.attribute('to')])


@operator('CastLike')
def cast_like(node, x, like):
    return x.to(like.dtype)


@operator('Dropout')
def dropout(node, x, *settings):
    return x, torch.ones_like(x, dtype=torch.bool)


def over_rows(function):
    def apply(node, x):
        if node.opset >= 13:
            return function(x, dim=node.attribute('axis', -1))
        axis = node.attribute('axis', 1) % x.dim()
        return function(x.reshape(x.shape[:axis].numel(), -1), dim=1).reshape(x.shape)
    return apply


operator('Softmax')(over_rows(F.softmax))
operator('LogSoftmax')(over_rows(F.log_softmax))


@operator('Constant')
def constant(node):
    for name in ('value_float', 'value_floats'):
        if node.attribute(name) is not None:
            return torch.tensor(node.attribute(name), dtype=torch.float64)
    for name in ('value_int', 'value_ints'):
        if node.attribute(name) is not None:
            return torch.tensor(node.attribute(name), dtype=torch.int64)
    return node.attribute('value')
