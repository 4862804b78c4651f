/** One file to be exported. */
export interface ExportRequest {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly size: number;
  readonly batch: 'N' | 1;
  /** Batch normalisation behind a convolution is folded into it, as exporters do unless they are told otherwise. */
  readonly folded: boolean;
  readonly opset: number;
  readonly path: string;
}

/**
 * Exports architectures with random weights; statistics and biases are random too, and what torchvision starts at
 * zero is not, so that every channel has something to say. The last network is kept: only its export differs.
 */
export const EXPORTER = `
import json, os, sys, warnings
warnings.filterwarnings('ignore')
import torch, torchvision
from torch import nn
torch.set_num_threads(1)

def build(name, options):
    torch.manual_seed(0)
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
    return model

kept = (None, None)
answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)
for line in sys.stdin:
    job = json.loads(line)
    try:
        if kept[0] != job['name']:
            kept = (None, None)
            kept = (job['name'], build(job['name'], job['options']))
        dynamic = {'input': {0: 'N'}, 'output': {0: 'N'}} if job['batch'] == 'N' else None
        mode = torch.onnx.TrainingMode.EVAL if job['folded'] else torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(kept[1], torch.zeros(2 if job['batch'] == 'N' else 1, 3, job['size'], job['size']), job['path'], training=mode,
                          opset_version=job['opset'], input_names=['input'], output_names=['output'],
                          dynamic_axes=dynamic)
        answer = {'path': job['path']}
    except Exception as error:
        answer = {'error': job['name'] + ': ' + str(error)}
    print(json.dumps(answer), file=answers, flush=True)
`;

export interface CheckRequest {
  readonly path: string;
}

/** The ONNX checker with full shape inference in strict mode; an empty complaint where the file is valid. */
export const CHECKER = `
import json, sys, onnx
for line in sys.stdin:
    path = json.loads(line)['path']
    try:
        onnx.checker.check_model(path, full_check=True)
        complaint = ''
    except Exception as error:
        complaint = str(error)[:500] or repr(error)
    print(json.dumps({'complaint': complaint}), flush=True)
`;
