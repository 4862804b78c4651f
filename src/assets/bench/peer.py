#!/usr/bin/env python3
"""One contender of the benchmarks: another library's way to the nearest other row of every row.

    python3 peer.py NAME FILE ROWS DIMS THREADS

FILE holds ROWS x DIMS float32, row-major, then ROWS int32 labels. It is read once and may be removed afterwards.
The program warms up and prints one JSON line: {"version": ...} when it is ready, or {"missing": reason} where the
library can not be imported. Every line on stdin then asks for one trial, which is answered by one JSON line: CPU
seconds of this process and wall seconds around the search alone, and the Separation Index ("si") that it found.
The end of stdin ends the program.

The caller limits the threads of BLAS and OpenMP through the environment; what has a switch of its own gets it here.
"""
import json
import resource
import sys
import time

WARM_UP_ROWS = 256


def faiss_index(threads):
    import faiss

    faiss.omp_set_num_threads(threads)

    def nearest(data):
        index = faiss.IndexFlatL2(data.shape[1])
        index.add(data)
        _, found = index.search(data, 2)
        return without_self(found)

    return faiss.__version__, nearest


def scikit_learn(_threads):
    import sklearn
    from sklearn.neighbors import NearestNeighbors

    def nearest(data):
        model = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(data)
        return without_self(model.kneighbors(data, return_distance=False))

    return sklearn.__version__, nearest


def torch_mm(threads):
    import numpy as np
    import torch

    torch.set_num_threads(threads)

    def nearest(data, chunk=1024):
        rows = torch.from_numpy(data)
        norms = (rows * rows).sum(1)
        found = []
        for begin in range(0, len(rows), chunk):
            part = rows[begin : begin + chunk]
            # The query's own norm is the same for all candidates and left out.
            distances = torch.addmm(norms, part, rows.T, alpha=-2)
            own = torch.arange(len(part))
            distances[own, begin + own] = float("inf")
            found.append(distances.argmin(1))
        return torch.cat(found).numpy().astype(np.int64)

    return torch.__version__, nearest


def numpy_product(_threads):
    """The matrix product alone, without any search: what a program around BLAS can not get below."""
    import numpy as np

    def product(data):
        # The product of a matrix with its own transpose would be a half-price one.
        np.matmul(data, product.other[: len(data)].T, out=product.result[: len(data), : len(data)])

    def prepare(data):
        product.other = data.copy()
        product.result = np.zeros((len(data), len(data)), np.float32)

    product.prepare = prepare
    return np.__version__, product


PEERS = {
    "faiss IndexFlatL2": faiss_index,
    "scikit-learn brute": scikit_learn,
    "torch mm + argmin": torch_mm,
    "numpy sgemm alone": numpy_product,
}


def without_self(found):
    """[rows, 2] neighbours of rows that are in the index themselves: the one that is another row."""
    import numpy as np

    return np.where(found[:, 0] == np.arange(len(found)), found[:, 1], found[:, 0])


def blas_name():
    """File name of the BLAS in this process, where the system tells."""
    try:
        with open("/proc/self/maps") as maps:
            files = {line.split()[-1].rsplit("/", 1)[-1] for line in maps if ".so" in line}
    except OSError:
        return None
    libraries = sorted(file for file in files if any(key in file for key in ("openblas", "mkl_core", "libblis")))
    return libraries[0].split(".so")[0] if libraries else None


def cpu_seconds():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def say(message):
    print(json.dumps(message), flush=True)


def main():
    name, path = sys.argv[1:3]
    rows, dims, threads = map(int, sys.argv[3:6])
    try:
        import numpy as np

        version, search = PEERS[name](threads)
    except ImportError as error:
        say({"missing": str(error)})
        return
    data = np.fromfile(path, np.float32, rows * dims).reshape(rows, dims)
    labels = np.fromfile(path, np.int32, rows, offset=rows * dims * 4)
    if hasattr(search, "prepare"):
        search.prepare(data)
    search(data[:WARM_UP_ROWS])
    blas = blas_name()
    say({"version": f"{version} ({blas})" if blas else version})
    for _ in sys.stdin:
        cpu, wall = cpu_seconds(), time.perf_counter()
        found = search(data)
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
        trial = {"cpuSeconds": cpu, "wallSeconds": wall}
        if found is not None:
            trial["si"] = float((labels[found] == labels).mean())
        say(trial)


if __name__ == "__main__":
    main()
