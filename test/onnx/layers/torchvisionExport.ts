/**
 * Exports one architecture with random weights; statistics and biases are random too, and what torchvision starts
 * at zero is not, so that every channel has something to say. Arguments by line: name, path, size, batch ("N" or 2), and
 * whether batch normalisation is "kept" or "folded" into the convolutions before it.
 */
export const EXPORT = `
import sys, warnings
warnings.filterwarnings('ignore')
import torch, torchvision
from torch import nn
name, path, size, batch, norm = sys.stdin.read().split('\\n')
torch.manual_seed(0)
torch.set_num_threads(2)
options = dict(aux_logits=False, init_weights=False) if name in ('googlenet', 'inception_v3') else {}
model = getattr(torchvision.models, name)(weights=None, **options).eval()
for module in model.modules():
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, 0, 0.3)
        nn.init.normal_(module.running_mean, 0, 0.3)
        nn.init.uniform_(module.running_var, 0.5, 1.5)
    elif isinstance(getattr(module, 'bias', None), torch.Tensor):
        nn.init.normal_(module.bias, 0, 0.1)
for key, value in model.named_parameters():
    if 'layer_scale' in key or not value.any():
        nn.init.normal_(value, 0, 0.1)
dynamic = {'input': {0: 'N'}, 'output': {0: 'N'}} if batch == 'N' else None
mode = torch.onnx.TrainingMode.PRESERVE if norm == 'kept' else torch.onnx.TrainingMode.EVAL
torch.onnx.export(model, torch.randn(2, 3, int(size), int(size)), path, training=mode, opset_version=13,
                  input_names=['input'], output_names=['output'], dynamic_axes=dynamic)
`;
