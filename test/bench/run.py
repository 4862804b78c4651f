#!/usr/bin/env python3
"""The kernels beside what users would take instead: same data, same threads, turn by turn, medians.

    /usr/bin/python3 test/bench/run.py                      # everything; about an hour, most of it forward selection
    /usr/bin/python3 test/bench/run.py --quick              # a fifth of the rows: minutes
    /usr/bin/python3 test/bench/run.py --cases si-long --threads 2 --rounds 9

Builds test/bench/native_separation with cmake and the compiler of the environment; Node is not needed. The peers (see
src/assets/bench/peer.py) are those that this Python has; a peer that is missing is listed with its reason. Every
contender is a process of its own that holds the data and waits; each round lets each of them do the work once, every
other round in the opposite order, and the first, uncounted run of each warms up. CPU time is that of the process, all
threads together. --json FILE also writes every median as a line of JSON, the environment first.
"""
import argparse
import collections
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER_PROGRAM = ROOT / "src" / "assets" / "bench" / "peer.py"
PEERS = ("faiss IndexFlatL2", "scikit-learn brute", "torch mm + argmin", "numpy sgemm alone")

# OpenBLAS and OpenMP let idle threads spin for some 20 ms before they sleep.
SETTLE_SECONDS = 0.05
SI_TOLERANCE = 1e-3

Case = collections.namedtuple("Case", "name kernel rows dims filters limit reevaluate", defaults=(1, 0, False))
CASES = (
    Case("si-long", "si", 10000, 4096),
    Case("si-64", "si", 10000, 64),
    Case("csi", "csi", 10000, 4096),
    Case("filters", "filters", 10000, 64 * 64, 64),
    Case("select-64x64", "select", 10000, 64 * 64, 64),
    Case("select-256x16", "select", 5000, 256 * 16, 256),
    # The first steps alone: evaluating every candidate of all steps would take hours.
    Case("select-64x64-first-4", "select", 2000, 64 * 64, 64, 4, True),
)


class Failed(Exception):
    pass


class Contender:
    """A process that does one trial for every line it gets. Gone with the `with` block it was made in."""

    def __init__(self, command, threads):
        limit = str(threads)
        limits = {"OMP_NUM_THREADS": limit, "OPENBLAS_NUM_THREADS": limit, "MKL_NUM_THREADS": limit}
        self.process = subprocess.Popen(
            command, env=os.environ | limits | {"PYTHONDONTWRITEBYTECODE": "1"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died; the missing answer says so
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        errors = self.process.stderr.read().strip().splitlines()
        raise Failed(errors[-1] if errors else f"it ended with {self.process.wait()}")


def build_native(folder):
    run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run("cmake", "-S", str(ROOT / "test" / "bench"), "-B", str(folder))
    run("cmake", "--build", str(folder), "--target", "native_separation", "--parallel", "2")
    return folder / "native_separation"


def write_data(path, kind, rows, dims):
    """float32 rows and int32 labels, of the kinds that workload.h describes."""
    import numpy as np

    random = np.random.default_rng(1)
    blobs = random.integers(0, 100, rows)
    if kind == "random":
        data = random.random((rows, dims), dtype=np.float32)
    else:
        centers = random.standard_normal((100, dims), dtype=np.float32)
        data = centers[blobs] + np.float32(0.5) * random.standard_normal((rows, dims), dtype=np.float32)
    with open(path, "wb") as file:
        data.tofile(file)
        (blobs % 10).astype(np.int32).tofile(file)


def environment(options):
    flags, model = set(), platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    model = value.strip()
                elif key.strip() == "flags":
                    flags = set(value.split())
    except OSError:
        pass
    interest = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8")
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "flags": [flag for flag in interest if flag in flags],
        "threads": options.threads,
        "rounds": options.rounds,
        "python": platform.python_version(),
        "system": platform.platform(),
        "loadAverage": round(os.getloadavg()[0], 2),
    }


def start_peers(case, path, options, missing):
    """The peers that are there as {name: (contender, version)}; the reasons of the others go to `missing`."""
    started = {}
    for name in PEERS:
        command = [sys.executable, str(PEER_PROGRAM), name, str(path), *map(str, (case.rows, case.dims, options.threads))]
        contender = Contender(command, options.threads)
        try:
            said = contender.answer()
            if "missing" in said:
                raise Failed(said["missing"])
            started[name] = (contender, said["version"])
        except Failed as failure:
            contender.__exit__()
            missing[name] = str(failure)
    return started


def measure(native, case, kind, path, options):
    """Medians of one case as dictionaries, one a contender."""
    command = [str(native), "--serve", "--kernel", case.kernel, "--rows", case.rows, "--dims", case.dims,
               "--filters", case.filters, "--limit", case.limit, "--data", path, "--threads", options.threads]
    command += ["--reevaluate"] if case.reevaluate else []
    trials, missing, peers = collections.defaultdict(list), {}, {}
    with Contender([str(part) for part in command], options.threads) as ours:
        try:
            names = ours.answer()["contenders"]
            if case.kernel == "si" and not options.no_peers:
                peers = start_peers(case, path, options, missing)
            turns = [(name, ours, name) for name in names] + [(name, peer, "") for name, (peer, _) in peers.items()]
            # Above `--longest` seconds a run is not repeated, and its first one counts.
            taken = lambda trial: trial["wallSeconds"] / trial.get("scale", 1)
            for round_number in range(-1, options.rounds):
                for name, contender, line in turns if round_number % 2 == 0 else turns[::-1]:
                    if name in missing or any(taken(trial) > options.longest for trial in trials[name]):
                        continue
                    time.sleep(SETTLE_SECONDS)
                    try:
                        trial = contender.ask(line)
                    except Failed as failure:
                        if contender is ours:
                            raise
                        missing[name] = str(failure)
                        continue
                    if round_number >= 0 or taken(trial) > options.longest:
                        trials[name].append(trial)
        finally:
            for peer, _ in peers.values():
                peer.__exit__()
    return [summary(case, kind, name, trials[name], peers) for name, _, _ in turns if name not in missing] + [
        {"case": case.name, "data": kind, "contender": name, "notMeasured": reason} for name, reason in missing.items()]


def summary(case, kind, name, trials, peers):
    medians = {key: statistics.median(trial[key] for trial in trials)
               for key in ("cpuSeconds", "wallSeconds", "peakBeyondInputMiB", "inputBytesPerSecond") if key in trials[0]}
    found = {key: trials[0][key] for key in ("extrapolated", "measuredRows", "measuredFilters") if key in trials[0]}
    index = trials[0].get("index", trials[0].get("si"))
    return {"case": case.name, "kernel": case.kernel, "data": kind, "contender": name, "rows": case.rows,
            "dims": case.dims, "filters": case.filters, "limit": case.limit, "trials": len(trials), **medians, **found,
            **({"index": index} if index is not None else {}),
            **({"version": peers[name][1]} if name in peers else {})}


def baseline_of(results):
    """What the others are compared with: FAISS, plain reading, re-evaluation by the fastest, or the serial backend."""
    measured = {result["contender"]: result for result in results if "notMeasured" not in result}
    again = [name for name in measured if name.startswith("reevaluate:")]
    for name in ("faiss IndexFlatL2", "read", *sorted(again, key=lambda name: measured[name]["cpuSeconds"]), "serial"):
        if name in measured:
            return measured[name]
    return None


def show(case, kind, results):
    size = f"{case.rows} x {case.dims}" + (f", {case.filters} filters" if case.filters > 1 else "")
    baseline = baseline_of(results)
    versus = f"against {baseline['contender']}" if baseline else ""
    print(f"\n{case.name}: {size}, {kind}\n"
          f"{'':24} {'CPU s':>10} {'wall s':>10} {versus:>28} {'index':>9} {'MiB beyond':>11} {'GB/s':>6} trials")
    indices = [result["index"] for result in results if "index" in result and "version" not in result]
    for result in results:
        name = result["contender"]
        if "notMeasured" in result:
            print(f"{name:24} not measured: {result['notMeasured']}")
            continue
        about = "~" if result.get("extrapolated") else ""
        # Reading is bound by memory, where wall time is what counts.
        key = "wallSeconds" if case.kernel == "csi" else "cpuSeconds"
        ratio = f"{about}{baseline[key] / result[key]:.2f}x" if baseline else ""
        index = f"{result['index']:.5f}" if "index" in result else "-"
        memory = f"{result['peakBeyondInputMiB']:.1f}" if "peakBeyondInputMiB" in result else "-"
        speed = f"{result['inputBytesPerSecond'] / 1e9:.1f}" if case.kernel == "csi" else "-"
        print(f"{name:24} {about + format(result['cpuSeconds'], '.3f'):>10} {about + format(result['wallSeconds'], '.3f'):>10} "
              f"{ratio:>28} {index:>9} {memory:>11} {speed:>6} {result['trials']}")
        if "version" in result and "index" in result and indices and abs(result["index"] - indices[0]) > SI_TOLERANCE:
            print(f"{'':24} DIFFERENT ANSWER: ours is {indices[0]:.5f}")
        if result.get("extrapolated"):
            print(f"{'':24} ~ scaled from {result['measuredRows']} of {case.rows} queries, "
                  f"{result['measuredFilters']} of {case.filters} filters")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], default=[case.name for case in CASES])
    parser.add_argument("--data", nargs="+", choices=("random", "clustered"), default=["random", "clustered"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--longest", type=float, default=20, help="seconds above which a run is not repeated (20)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--native", type=pathlib.Path, help="a native_separation that is built already")
    parser.add_argument("--json", type=argparse.FileType("w"), help="where the JSON lines go")
    options = parser.parse_args()
    if options.threads < 1 or options.rounds < 1:
        parser.error("expected 1 or more for --threads and --rounds")
    return options


def main():
    options = parse_options()
    described = environment(options)
    print("; ".join(f"{key} {value}" for key, value in described.items()))
    lines = [{"environment": described}]
    with tempfile.TemporaryDirectory(prefix="onnx-sieve-bench-") as folder:
        native = options.native.resolve() if options.native else build_native(pathlib.Path(folder) / "build")
        path = pathlib.Path(folder) / "data.bin"
        for case in CASES:
            if case.name not in options.cases:
                continue
            case = case._replace(rows=case.rows // 5) if options.quick else case
            for kind in options.data:
                write_data(path, kind, case.rows, case.dims)
                results = measure(native, case, kind, path, options)
                show(case, kind, results)
                sys.stdout.flush()
                lines += results
    if options.json:
        with options.json as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    try:
        main()
    except (Failed, subprocess.CalledProcessError) as error:
        sys.exit(f"Not measured: {error}")
