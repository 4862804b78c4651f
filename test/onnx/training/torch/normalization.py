import torch
from interpreter import operator
