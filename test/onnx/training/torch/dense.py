import torch
from interpreter import operator


@operator('Gemm')
def gemm(node, a, b, c=None):
    a = a.T if node.attribute('transA', 0) else a
    b = b.T if node.attribute('transB', 0) else b
    product = node.attribute('alpha', 1.0) * (a @ b)
    return product if c is None else product + node.attribute('beta', 1.0) * c


@operator('MatMul')
def mat_mul(node, a, b):
    return torch.matmul(a, b)
