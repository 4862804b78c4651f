import torch
from interpreter import operator


@operator('Relu')
def relu(node, x):
    return torch.relu(x)


@operator('Add')
def add(node, a, b):
    return a + b
