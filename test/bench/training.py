#!/usr/bin/env python3
"""A training step here beside torch's: same network, batch, threads and optimizer, turn by turn, medians.

    npm run bench:training -- resnet20.onnx resnet56.onnx --threads 2
    npm run bench:training -- resnet20.onnx --epochs 10 --images 50000     # here alone: one line an epoch

Each of the two is a process of its own that holds network and data and waits; each round lets both take --steps steps,
every other round in the opposite order, and the first, uncounted turn of each warms up. A step is forward, cross-entropy,
backward and SGD with Nesterov momentum and weight decay, in float32, with batch statistics; data is random and ready in
memory. CPU time is that of the process, all threads together; memory is the most that was resident, all included. Idle
threads sleep on both sides, or the CPU time on a busy machine would be mostly theirs; --spinning lets them spin. Both
start from the network's weights, so their losses must agree. torch runs the .onnx node by node with torch.nn.functional;
an operator that is not listed below is named, and torch left out. --json FILE also writes every turn as a line of JSON.
"""
import argparse
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "build" / "bench" / "training.js"
BATCHES = 4
LOSS_TOLERANCE = 1e-2


class Failed(Exception):
    pass


# torch's side -------------------------------------------------------------------------------------------------------

def symmetric(pads, node):
    rank = len(pads) // 2
    if list(pads[:rank]) != list(pads[rank:]):
        raise Failed("pads of node " + node.name + " differ between begin and end")
    return list(pads[:rank])


def torch_operators(torch):
    F = torch.nn.functional

    def conv(node, a, x, weight, bias=None):
        rank = x.dim() - 2
        pads = symmetric(a.get("pads", [0] * 2 * rank), node)
        return F.conv2d(x, weight, bias, a.get("strides", [1] * rank), pads, a.get("dilations", [1] * rank), a.get("group", 1))

    def batch_norm(node, a, x, scale, shift, mean, variance):
        return F.batch_norm(x, mean, variance, scale, shift, True, 1 - a.get("momentum", 0.9), a.get("epsilon", 1e-5))

    def max_pool(node, a, x):
        pads = symmetric(a.get("pads", [0, 0, 0, 0]), node)
        return F.max_pool2d(x, a["kernel_shape"], a.get("strides", [1, 1]), pads)

    def average_pool(node, a, x):
        pads = symmetric(a.get("pads", [0, 0, 0, 0]), node)
        return F.avg_pool2d(x, a["kernel_shape"], a.get("strides", [1, 1]), pads, count_include_pad=bool(a.get("count_include_pad", 0)))

    def gemm(node, a, x, weight, bias=None):
        if a.get("transA", 0) or a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0:
            raise Failed("factors of node " + node.name)
        return F.linear(x, weight if a.get("transB", 0) else weight.T, bias)

    def pad(node, a, x, pads=None, value=None):
        pads = [int(size) for size in (a["pads"] if pads is None else pads)]
        rank = len(pads) // 2
        margins = [size for axis in reversed(range(rank)) for size in (pads[axis], pads[axis + rank])]
        return F.pad(x, margins, value=0.0 if value is None else float(value))

    def slice_(node, a, x, starts, ends, axes=None, steps=None):
        index = [slice(None)] * x.dim()
        for at in range(len(starts)):
            step = 1 if steps is None else int(steps[at])
            index[at if axes is None else int(axes[at])] = slice(int(starts[at]), int(ends[at]), step)
        return x[tuple(index)]

    def clip(node, a, x, low=None, high=None):
        return torch.clamp(x, None if low is None else float(low), None if high is None else float(high))

    return {
        "Conv": conv, "BatchNormalization": batch_norm, "MaxPool": max_pool, "AveragePool": average_pool,
        "Gemm": gemm, "Pad": pad, "Slice": slice_, "Clip": clip,
        "Relu": lambda node, a, x: F.relu(x), "Add": lambda node, a, x, y: x + y, "Mul": lambda node, a, x, y: x * y,
        "Sigmoid": lambda node, a, x: torch.sigmoid(x), "HardSwish": lambda node, a, x: F.hardswish(x),
        "HardSigmoid": lambda node, a, x: torch.clamp(a.get("alpha", 0.2) * x + a.get("beta", 0.5), 0, 1),
        "GlobalAveragePool": lambda node, a, x: x.mean((2, 3), keepdim=True),
        "ReduceMean": lambda node, a, x: x.mean(list(a["axes"]), keepdim=bool(a.get("keepdims", 1))),
        "Flatten": lambda node, a, x: x.flatten(a.get("axis", 1)),
        "Reshape": lambda node, a, x, shape: x.reshape([x.shape[0]] + [int(size) for size in shape[1:]]),
        "Concat": lambda node, a, *parts: torch.cat(parts, a["axis"]),
        "Identity": lambda node, a, x: x, "Dropout": lambda node, a, x, *_: x,
    }


def cut(x, starts, ends, axes=None, steps=None):
    index = [slice(None)] * x.ndim
    for at, (start, end) in enumerate(zip(starts, ends)):
        step = 1 if steps is None else int(steps[at])
        # The end of a backward slice may lie before the first element whatever the size.
        index[at if axes is None else int(axes[at])] = slice(int(start), None if end < -x.size else int(end), step)
    return x[tuple(index)]


# What exporters compute from constants, for pads and shapes: done once.
FOLDED = {
    "Shape": lambda a, x: numpy.array(x.shape), "Gather": lambda a, x, at: numpy.take(x, at, a.get("axis", 0)),
    "Mul": lambda a, x, y: x * y, "Sub": lambda a, x, y: x - y, "Add": lambda a, x, y: x + y,
    "Cast": lambda a, x: x.astype(onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[a["to"]]),
    "ConstantOfShape": lambda a, shape: numpy.full(shape, numpy_helper.to_array(a["value"])[0] if "value" in a else 0),
    "Concat": lambda a, *parts: numpy.concatenate(parts, a["axis"]), "Reshape": lambda a, x, shape: x.reshape(shape),
    "Transpose": lambda a, x: x.transpose(a.get("perm")), "Slice": lambda a, *operands: cut(*operands),
    "Constant": lambda a: numpy_helper.to_array(a["value"]),
}


def torch_main(settings):
    import torch
    F = torch.nn.functional
    torch.set_num_threads(settings["threads"])
    operators = torch_operators(torch)
    model = onnx.load(settings["model"])
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    steps = []
    for node in model.graph.node:
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type in FOLDED and all(name in arrays for name in node.input):
            arrays[node.output[0]] = FOLDED[node.op_type](attributes, *[arrays[name] for name in node.input])
            continue
        if node.op_type not in operators:
            raise Failed("no function for " + node.op_type)
        steps.append((operators[node.op_type], node, attributes, list(node.input), node.output[0]))
    used = {name for _, _, _, inputs, _ in steps for name in inputs if name in arrays}
    tensors = {name: torch.from_numpy(numpy.array(arrays[name])) for name in used}
    learned = {name for _, node, _, inputs, _ in steps if node.op_type in ("Conv", "Gemm", "BatchNormalization")
               for name in inputs[1:3] if name in arrays}
    leaves = [tensors[name].requires_grad_(True) for name in sorted(learned)]
    groups = [{"params": [leaf for leaf in leaves if leaf.dim() > 1], "weight_decay": settings["weightDecay"]},
              {"params": [leaf for leaf in leaves if leaf.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD([group for group in groups if group["params"]], lr=settings["learningRate"],
                                momentum=settings["momentum"], nesterov=True)
    shape = [settings["batches"], settings["batchSize"]]
    images = torch.from_numpy(numpy.fromfile(settings["images"], "<f4").reshape(shape + settings["imageDims"]))
    targets = torch.from_numpy(numpy.fromfile(settings["targets"], "<f4").reshape(shape + [settings["classes"]]))
    labels = targets.argmax(2)
    print(json.dumps({"version": torch.__version__}), flush=True)
    done = 0
    for line in sys.stdin:
        losses, cpu, wall = [], time.process_time(), time.perf_counter()
        for _ in range(int(line)):
            at = done % settings["batches"]
            done += 1
            values = {**tensors, settings["input"]: images[at]}
            for function, node, attributes, inputs, output in steps:
                values[output] = function(node, attributes, *[values[name] if name else None for name in inputs])
            loss = F.cross_entropy(values[settings["output"]].flatten(1), labels[at])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"losses": losses, "wall": wall, "cpu": cpu, "peakBytes": peak}), flush=True)


# both ---------------------------------------------------------------------------------------------------------------

class Contender:
    """A process that takes as many steps as each line says. Gone with the `with` block it was made in."""

    def __init__(self, name, command, options):
        limit = str(options.threads)
        limits = {"OMP_NUM_THREADS": limit, "MKL_NUM_THREADS": limit, "OPENBLAS_NUM_THREADS": limit,
                  "OMP_WAIT_POLICY": "ACTIVE" if options.spinning else "PASSIVE"}
        environment = os.environ | limits | {"PYTHONDONTWRITEBYTECODE": "1", "NODE_PATH": str(ROOT / "node_modules")}
        self.name = name
        self.turns = []
        self.process = subprocess.Popen(command, env=environment, text=True, cwd=ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.about = self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def take(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        errors = self.process.stderr.read().strip().splitlines()
        raise Failed(self.name + ": " + (errors[-1] if errors else "ended without a word"))


def bundle():
    tsup = ROOT / "node_modules" / "tsup" / "dist" / "cli-default.js"
    command = ["node", tsup, ROOT / "test" / "bench" / "training.ts", "--no-config", "--format", "cjs", "--out-dir", BUNDLE.parent, "--silent"]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if result.returncode != 0:
        raise Failed("tsup: " + result.stdout + result.stderr)


def describe(path, batch_size):
    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    image = next(entry for entry in graph.input if entry.name not in stored)
    dims = [entry.dim_value for entry in image.type.tensor_type.shape.dim][1:]
    classes = [entry.dim_value for entry in graph.output[0].type.tensor_type.shape.dim][1]
    return {"input": image.name, "output": graph.output[0].name, "imageDims": dims, "classes": classes,
            "batches": BATCHES, "batchSize": batch_size}


def make_data(settings, folder):
    """Every class has a pattern, under noise: there is something to learn."""
    random = numpy.random.default_rng(0)
    shape = [settings["batches"], settings["batchSize"]]
    labels = random.integers(0, settings["classes"], shape)
    patterns = random.normal(size=[settings["classes"]] + settings["imageDims"])
    images = (0.5 * patterns[labels] + random.normal(size=shape + settings["imageDims"])).astype("<f4")
    targets = numpy.eye(settings["classes"], dtype="<f4")[labels]
    for name, array in (("images", images), ("targets", targets)):
        file = os.path.join(folder, name)
        array.tofile(file)
        settings[name] = file


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def load():
    return "load " + " ".join(f"{value:.1f}" for value in os.getloadavg())


def median_of(contender, what):
    return statistics.median(turn[what] for turn in contender.turns)


def compare(options, settings, record):
    images = options.steps * options.batch
    command = json.dumps(settings)
    with Contender("onnx-sieve", ["node", BUNDLE, command], options) as own:
        contenders = [own]
        try:
            torch = Contender("torch", [sys.executable, __file__, "--torch", command], options)
            contenders.append(torch)
        except Failed as failure:
            print(f"  {failure}")
        try:
            first = [contender.take(options.warmup)["losses"] for contender in contenders]
            difference = max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(first[0][:2], first[-1][:2]))
            if not difference <= LOSS_TOLERANCE:
                raise Failed(f"losses differ: {first[0][:2]} and {first[-1][:2]}")
            for turn in range(options.rounds):
                for contender in contenders if turn % 2 == 0 else contenders[::-1]:
                    result = contender.take(options.steps)
                    contender.turns.append(result)
                    record({"contender": contender.name, "turn": turn, **result})
            print(f"  {'':12}{'images/s':>10}{'ms a step':>11}{'CPU ms':>9}{'most memory':>13}   {load()}")
            for contender in contenders:
                wall, cpu = median_of(contender, "wall"), median_of(contender, "cpu")
                peak = contender.turns[-1]["peakBytes"] / 2**20
                print(f"  {contender.name:12}{images / wall:10.1f}{1000 * wall / options.steps:11.1f}"
                      f"{1000 * cpu / options.steps:9.1f}{peak:9.0f} MiB")
            if len(contenders) == 2:
                ratios = {what: statistics.median(theirs[what] / ours[what] for ours, theirs in zip(own.turns, torch.turns))
                          for what in ("wall", "cpu")}
                print(f"  beside torch {torch.about['version']}, median of rounds: {ratios['wall']:.2f} times its speed, "
                      f"{ratios['cpu']:.2f} by CPU time")
        finally:
            for contender in contenders[1:]:
                contender.__exit__()


def long_run(options, settings, record):
    steps = options.images // options.batch
    with Contender("onnx-sieve", ["node", BUNDLE, json.dumps(settings)], options) as own:
        own.take(options.warmup)
        print(f"  {'epoch':>5}{'images/s':>10}{'images/CPU s':>14}{'loss':>12}{'denormals':>11}{'most memory':>13}")
        for epoch in range(options.epochs):
            result = own.take(steps)
            own.turns.append(result)
            record({"contender": own.name, "epoch": epoch + 1, **{**result, "losses": result["losses"][-1:]}})
            images = steps * options.batch
            print(f"  {epoch + 1:5}{images / result['wall']:10.1f}{images / result['cpu']:14.1f}"
                  f"{statistics.fmean(result['losses']):12.3g}{result['denormals']:11}"
                  f"{result['peakBytes'] / 2**20:9.0f} MiB   {load()}", flush=True)
        ratio = own.turns[0]["cpu"] / own.turns[-1]["cpu"]
        print(f"  the last epoch ran at {ratio:.2f} times the speed of the first, by CPU time")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help=".onnx files that take float32 images and give logits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="steps of a turn")
    parser.add_argument("--warmup", type=int, default=3, help="steps before the first turn")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda", "webgpu"], help="of onnx-sieve")
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--plain-layout", action="store_true", help="without ONNX Runtime's own layout of images")
    parser.add_argument("--spinning", action="store_true", help="idle threads of both spin: for idle machines")
    parser.add_argument("--epochs", type=int, default=0, help="instead: so many epochs here, without torch")
    parser.add_argument("--images", type=int, default=10000, help="images of an epoch")
    parser.add_argument("--json", help="file for every turn as a line of JSON")
    options = parser.parse_args()
    bundle()
    lines = open(options.json, "w") if options.json else None

    def record(document):
        if lines is not None:
            print(json.dumps(document), file=lines, flush=True)

    about = {"machine": processor(), "cpus": os.cpu_count(), "threads": options.threads,
             "batch": options.batch, "load": os.getloadavg(), "python": platform.python_version(),
             "node": subprocess.run(["node", "--version"], text=True, capture_output=True).stdout.strip()}
    record(about)
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    for path in options.models:
        with tempfile.TemporaryDirectory() as folder:
            settings = describe(path, options.batch) | {
                "model": os.path.abspath(path), "threads": options.threads, "device": options.device,
                "learningRate": options.learning_rate, "momentum": 0.9, "weightDecay": options.weight_decay,
                "plainLayout": options.plain_layout, "spinning": options.spinning}
            make_data(settings, folder)
            print(os.path.basename(path), flush=True)
            record({"model": os.path.basename(path)})
            (long_run if options.epochs > 0 else compare)(options, settings, record)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--torch"]:
            torch_main(json.loads(sys.argv[2]))
        else:
            main()
    except Failed as failed:
        sys.exit(str(failed))
