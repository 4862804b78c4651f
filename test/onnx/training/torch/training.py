"""Trains an ONNX graph for a few steps with torch in float64, by torch's own losses, optimizers and clipping."""
import json
import os

import numpy
import onnx
import torch
import torch.nn.functional as F
from interpreter import run, to_torch
from onnx import numpy_helper


def stored_tensors(model):
    """Initializers and Constant nodes."""
    found = {initializer.name: to_torch(numpy_helper.to_array(initializer)) for initializer in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == 'Constant':
            found[node.output[0]] = to_torch(numpy_helper.to_array(node.attribute[0].t))
    return found


def forward(model, stored, images, logits, batch_norm):
    tensors = {**stored, model.graph.input[0].name: images}
    nodes = onnx.ModelProto()
    nodes.CopyFrom(model)
    del nodes.graph.node[:]
    nodes.graph.node.extend(node for node in model.graph.node if node.op_type != 'Constant')
    statistics = run(nodes, tensors, batch_norm)
    return tensors[logits], statistics


def make_optimizer(settings, decayed, undecayed):
    groups = [{'params': decayed, 'weight_decay': settings['weightDecay']}, {'params': undecayed, 'weight_decay': 0.0}]
    groups = [group for group in groups if group['params']]
    if settings['kind'] == 'adamw':
        return torch.optim.AdamW(groups, lr=1.0, betas=(settings['beta1'], settings['beta2']), eps=settings['epsilon'])
    if settings['decoupled']:
        for group in groups:
            group['apart'] = group['weight_decay']
            group['weight_decay'] = 0.0
    return torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=settings['nesterov'])


def loss_of(logits, targets, teacher, distillation):
    loss = F.cross_entropy(logits, targets)
    if distillation is None:
        return loss
    weight, temperature = distillation['weight'], distillation['temperature']
    divergence = F.kl_div(F.log_softmax(logits / temperature, 1), F.softmax(teacher / temperature, 1), reduction='batchmean')
    return (1 - weight) * loss + weight * temperature ** 2 * divergence


def train(folder):
    request = json.load(open(os.path.join(folder, 'request.json')))
    model = onnx.load(os.path.join(folder, 'model.onnx'))
    stored = stored_tensors(model)
    teacher_model = None
    if request.get('teacherLogitsName'):
        teacher_model = onnx.load(os.path.join(folder, 'teacher.onnx'))

    def read(name, step, dims):
        data = numpy.fromfile(os.path.join(folder, f'{name}{step}'), dtype='<f4')
        return to_torch(data.reshape(dims))

    leaves = {name: stored[name].requires_grad_(True) for name in request['decayed'] + request['undecayed']}
    settings = request['optimizer']
    optimizer = make_optimizer(
        settings, [leaves[name] for name in request['decayed']], [leaves[name] for name in request['undecayed']])
    averages = {name: leaf.detach().clone() for name, leaf in leaves.items()}
    record = []
    for step, rates in enumerate(request['steps']):
        images = read('images', step, request['imageDims'])
        targets = read('targets', step, request['targetDims'])
        teacher = None
        if teacher_model is not None:
            with torch.no_grad():
                teacher, _ = forward(teacher_model, stored_tensors(teacher_model), images, request['teacherLogitsName'], 'frozen')
        elif request['distillation'] is not None:
            teacher = read('teacher', step, request['targetDims'])
        logits, statistics = forward(model, stored, images, request['logits'], request['batchNorm'])
        loss = loss_of(logits.reshape(targets.shape), targets, teacher, request['distillation'])
        optimizer.zero_grad()
        loss.backward()
        norm = None
        if request['clipNorm'] is not None:
            norm = torch.nn.utils.clip_grad_norm_(leaves.values(), request['clipNorm']).item()
        for group in optimizer.param_groups:
            group['lr'] = rates['learningRate']
            if 'momentum' in group:
                group['momentum'] = rates['momentum']
            for leaf in group['params'] if 'apart' in group else []:
                leaf.data.mul_(1 - rates['learningRate'] * group['apart'])
        optimizer.step()
        stored.update({name: value.detach() for name, value in statistics.items()})
        decay = request['averageDecay']
        for name, leaf in leaves.items() if decay is not None else []:
            averages[name].mul_(decay).add_(leaf.detach(), alpha=1 - decay)
        correct = (logits.reshape(targets.shape).argmax(1) == targets.argmax(1)).sum().item()
        kept = {**leaves, **{name: stored[name] for name in request['statistics']}}
        record.append({
            'loss': loss.item(), 'correct': correct, 'gradientNorm': norm,
            'values': {name: tensor.detach().flatten().tolist() for name, tensor in kept.items()},
            'averages': {name: tensor.flatten().tolist() for name, tensor in averages.items()} if decay is not None else {},
        })
    return {'steps': record}
