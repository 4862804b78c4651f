#!/usr/bin/env python3
"""The recipe of train.mjs with PyTorch, for comparison; writes the network as .onnx. See docs/demo.md.

    node scripts/demo/render.mjs train 30000 1 train.bin
    node scripts/demo/render.mjs test 5000 1 test.bin
    python3 scripts/demo/train.py train.bin test.bin torch.onnx
"""
import argparse
import time

import numpy
import onnx
import torch
from torch import nn

MEAN, STD = 0.5, 0.25
CLASSES = ["disk", "ring", "square", "triangle", "hexagon", "star", "cross", "crescent", "stripes", "checker"]


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class ResNet14(nn.Module):
    """Three stages of two blocks at widths 16, 32 and 64, a global average pool and one linear layer."""

    def __init__(self, widths=(16, 32, 64), blocks=2):
        super().__init__()
        self.conv = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        stages, inputs = [], widths[0]
        for stage, width in enumerate(widths):
            layers = []
            for block in range(blocks):
                layers.append(Block(inputs, width, 2 if stage > 0 and block == 0 else 1))
                inputs = width
            stages.append(nn.Sequential(*layers))
        self.stage1, self.stage2, self.stage3 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, len(CLASSES))

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


def read_images(path):
    records = numpy.fromfile(path, numpy.uint8).reshape(-1, 3073)
    labels = torch.from_numpy(records[:, 0].astype(numpy.int64))
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), labels


def normalise(pixels):
    return (pixels.float() / 255 - MEAN) / STD


def accuracy(model, pixels, labels):
    model.eval()
    with torch.no_grad():
        correct = sum(
            (model(normalise(pixels[at : at + 500])).argmax(1) == labels[at : at + 500]).sum().item()
            for at in range(0, len(pixels), 500)
        )
    return correct / len(pixels)


def augment(pixels):
    """The renderer already turns and moves shapes; a flip doubles the views at no cost."""
    flipped = torch.rand(len(pixels), 1, 1, 1) < 0.5
    return torch.where(flipped, pixels.flip(3), pixels)


def train(model, pixels, labels, test, epochs, batch, peak_rate):
    steps = len(pixels) // batch
    optimizer = torch.optim.SGD(model.parameters(), peak_rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, epochs * steps, pct_start=0.25)
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.05)
    started = time.time()
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(pixels))
        total = 0.0
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            loss = loss_function(model(normalise(augment(pixels[chosen]))), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        top1 = accuracy(model, *test)
        print(f"epoch {epoch + 1:2d}  loss {total / steps:.4f}  test {top1:.4f}  {time.time() - started:.0f} s", flush=True)


def give_each_its_own(exported):
    """Undoes the exporter's sharing of equal initializers through Identity nodes.

    The biases of the two normalisations that a shortcut's Add joins receive the same gradients, so they are equal.
    """
    graph = exported.graph
    values = {initializer.name: initializer for initializer in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity" and node.input[0] in values]:
        own = onnx.TensorProto()
        own.CopyFrom(values[node.input[0]])
        own.name = node.output[0]
        graph.initializer.append(own)
        graph.node.remove(node)


def export(model, path):
    """Writes the network as it was trained: BatchNormalization stays a node of its own."""
    model.eval()
    torch.onnx.export(
        model,
        torch.zeros(1, 3, 32, 32),
        path,
        opset_version=13,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    exported = onnx.load(path)
    give_each_its_own(exported)
    facts = {
        "scale": "1/255",
        "mean": ",".join([str(MEAN)] * 3),
        "std": ",".join([str(STD)] * 3),
        "layout": "NCHW",
        "classes": ",".join(CLASSES),
    }
    onnx.helper.set_model_props(exported, facts)
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("output")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.08)
    parser.add_argument("--limit", type=int, default=None, help="use this many training images only")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    pixels, labels = read_images(arguments.train)
    pixels, labels = pixels[: arguments.limit], labels[: arguments.limit]
    model = ResNet14(blocks=arguments.blocks)
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters, {len(pixels)} images")
    train(model, pixels, labels, read_images(arguments.test), arguments.epochs, arguments.batch, arguments.rate)
    export(model, arguments.output)


if __name__ == "__main__":
    main()
