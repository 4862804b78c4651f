#!/usr/bin/env python3
"""Compares sieve_separation_index with what users would take instead, on the same data in one run.

    /usr/bin/python3 test/bench/compare_faiss.py [--rows 10000] [--dims 4096] [--threads 2] [--rounds 5] [--sklearn]

Every round runs each contender once, in turn, each in its own process: FAISS IndexFlatL2 (k = 2), the library's
backends, scikit-learn's brute force on request. The figures are medians of process CPU time and wall time of the
search alone. SI values must agree: FAISS rounds its distances in float32, so a query or two may differ there.
Needs numpy and faiss (Debian: python3-numpy, python3-faiss), cmake and a C++ compiler.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

FAISS_TRIAL = """
import json, resource, sys, time
import numpy as np
import faiss
path, rows, dims, threads = sys.argv[1], *map(int, sys.argv[2:5])
data = np.fromfile(path, np.float32, rows * dims).reshape(rows, dims)
labels = np.fromfile(path, np.int32, rows, offset=rows * dims * 4)
faiss.omp_set_num_threads(threads)
cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
c, w = cpu(), time.perf_counter()
index = faiss.IndexFlatL2(dims)
index.add(data)
_, ids = index.search(data, 2)
c, w = cpu() - c, time.perf_counter() - w
nearest = np.where(ids[:, 0] == np.arange(rows), ids[:, 1], ids[:, 0])
print(json.dumps({"cpuSeconds": c, "wallSeconds": w, "si": float((labels[nearest] == labels).mean()),
                  "version": faiss.__version__}))
"""

SKLEARN_TRIAL = """
import json, resource, sys, time
import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors
path, rows, dims = sys.argv[1], *map(int, sys.argv[2:4])
data = np.fromfile(path, np.float32, rows * dims).reshape(rows, dims)
labels = np.fromfile(path, np.int32, rows, offset=rows * dims * 4)
cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
c, w = cpu(), time.perf_counter()
nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(data).kneighbors(return_distance=False)[:, 0]
c, w = cpu() - c, time.perf_counter() - w
print(json.dumps({"cpuSeconds": c, "wallSeconds": w, "si": float((labels[nearest] == labels).mean()),
                  "version": sklearn.__version__}))
"""


def build_native(folder):
    """Builds the library and the trial program there; returns the program's path."""
    build = folder / "build"
    run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run("cmake", "-S", str(ROOT), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release", "-DSIEVE_BUILD_NODE=OFF")
    run("cmake", "--build", str(build), "--target", "sieve", "--parallel", "2")
    library = next(build.glob("**/libsieve.a"))
    program = folder / "native_separation"
    run(os.environ.get("CXX", "c++"), "-std=c++17", "-O2", "-DSIEVE_STATIC", f"-I{ROOT}/native/include",
        str(ROOT / "test/bench/native_separation.cc"), str(library), "-pthread", "-o", str(program))
    return program


def write_data(path, kind, rows, dims):
    import numpy as np

    random = np.random.default_rng(1)
    if kind == "random":
        data = random.random((rows, dims), dtype=np.float32)
        labels = random.integers(0, 10, rows)
    else:
        blobs = random.integers(0, 100, rows)
        centers = random.standard_normal((100, dims), dtype=np.float32)
        data = centers[blobs] + np.float32(0.5) * random.standard_normal((rows, dims), dtype=np.float32)
        labels = blobs % 10
    with open(path, "wb") as file:
        data.tofile(file)
        labels.astype(np.int32).tofile(file)


def cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def trial(command, threads):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--dims", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sklearn", action="store_true")
    parser.add_argument("--native", type=pathlib.Path, help="a native_separation that is built already")
    options = parser.parse_args()
    size = [str(options.rows), str(options.dims)]
    threads = str(options.threads)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        native = str(options.native.resolve() if options.native else build_native(folder))
        print(f"CPU: {cpu_model()}, {os.cpu_count()} CPUs; {options.threads} threads; Python "
              f"{platform.python_version()}; {options.rows} x {options.dims}; medians of {options.rounds}")
        for kind in ("random", "clustered"):
            path = folder / "data.bin"
            write_data(path, kind, options.rows, options.dims)
            contenders = {"faiss IndexFlatL2": [sys.executable, "-c", FAISS_TRIAL, str(path), *size, threads]}
            for backend in ("avx2", "avx512"):
                contenders[f"sieve {backend}"] = [native, *size, f"file:{path}", backend, threads]
            if options.sklearn:
                contenders["scikit-learn brute"] = [sys.executable, "-c", SKLEARN_TRIAL, str(path), *size]
            results = {name: [] for name in contenders}
            for _ in range(options.rounds):
                for name, command in contenders.items():
                    results[name].append(trial(command, threads))
            baseline = None
            print(f"\n{kind:22} {'CPU s':>8} {'wall s':>8} {'CPU ratio to FAISS':>19} {'SI':>9} {'MiB beyond input':>17}")
            for name, trials in results.items():
                failed = next((t["error"] for t in trials if "error" in t), None)
                if failed:
                    print(f"{name:22} not measured: {failed}")
                    continue
                cpu = statistics.median(t["cpuSeconds"] for t in trials)
                wall = statistics.median(t["wallSeconds"] for t in trials)
                baseline = cpu if baseline is None and name.startswith("faiss") else baseline
                ratio = f"{baseline / cpu:.2f}x" if baseline else "-"
                memory = f"{trials[0]['peakBeyondInputMiB']:.1f}" if "peakBeyondInputMiB" in trials[0] else "-"
                label = f"{name} {trials[0]['version']}" if "version" in trials[0] else name
                print(f"{label:22} {cpu:8.2f} {wall:8.2f} {ratio:>19} {trials[0]['si']:9.5f} {memory:>17}")


if __name__ == "__main__":
    main()
