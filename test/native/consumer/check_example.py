"""check_example.py PROGRAM: runs the example npy_separation_index on files that NumPy writes, compares what it prints
with scikit-learn in float64, and shows it damaged files, which it must refuse with a message. Exit code 1 on failure."""

import io
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.neighbors import NearestNeighbors

PROGRAM = sys.argv[1]
failures = []


def expect(holds, what):
    if not holds:
        failures.append(what)
        print(f"FAILED: {what}")


def run(features, labels):
    return subprocess.run([PROGRAM, str(features), str(labels)], capture_output=True, text=True, timeout=60)


def npy_bytes(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def mean_per_class(correct, labels):
    return {int(label): float(np.mean(correct[labels == label])) for label in np.unique(labels)}


def reference(features, labels):
    """SI and CSI over all samples and per class."""
    points = features.reshape(len(features), -1).astype(np.float64)
    nearest = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(points).kneighbors(return_distance=False)
    # Without an argument a sample is not its own neighbour.
    same_label = labels[nearest[:, 0]] == labels
    ids = np.unique(labels)
    centers = np.stack([points[labels == label].mean(axis=0) for label in ids])
    distances = ((points[:, None, :] - centers[None]) ** 2).sum(axis=2)
    own_center = ids[distances.argmin(axis=1)] == labels
    return (
        {"SI": same_label.mean(), "CSI": own_center.mean()},
        mean_per_class(same_label, labels),
        mean_per_class(own_center, labels),
    )


def compare(folder, name, features, labels, version=None):
    (folder / "x.npy").write_bytes(npy_bytes(features, version))
    (folder / "y.npy").write_bytes(npy_bytes(labels, version))
    done = run(folder / "x.npy", folder / "y.npy")
    expect(done.returncode == 0, f"{name}: exit code {done.returncode}, {done.stderr.strip()}")
    if done.returncode != 0:
        return
    totals, separation, center = reference(features, labels)
    printed = dict(re.findall(r"^(SI|CSI) +([0-9.]+)$", done.stdout, re.M))
    for key, value in totals.items():
        expect(key in printed and abs(float(printed[key]) - value) < 1e-6, f"{name}: {key} {value}:\n{done.stdout}")
    rows = re.findall(r"^ *(\d+) +(\d+) +([0-9.]+) +([0-9.]+)$", done.stdout, re.M)
    expect({int(row[0]) for row in rows} == set(separation), f"{name}: the classes:\n{done.stdout}")
    for label, count, si, csi in rows:
        expect(int(count) == int((labels == int(label)).sum()), f"{name}: rows of class {label}")
        expect(abs(float(si) - separation[int(label)]) < 1e-6, f"{name}: SI of class {label}")
        expect(abs(float(csi) - center[int(label)]) < 1e-6, f"{name}: CSI of class {label}")


def refused(folder, name, features, labels, message):
    (folder / "x.npy").write_bytes(features)
    (folder / "y.npy").write_bytes(labels)
    done = run(folder / "x.npy", folder / "y.npy")
    said = re.search(rf"\A[^\n]*Expected [^\n]*{message}[^\n]*\n\Z", done.stderr)
    expect(done.returncode == 1 and said, f"{name}: exit code {done.returncode}, {done.stderr!r}")


def check_values(folder, random):
    labels = random.integers(0, 7, 400)
    labels[labels == 3] = 9  # classes without samples
    features = (random.normal(size=(400, 12)) + 0.7 * labels[:, None]).astype(np.float32)
    for version in [(1, 0), (2, 0), (3, 0)]:
        compare(folder, f"version {version[0]}", features, labels.astype(np.int32), version)
    compare(folder, "int64 labels", features, labels.astype(np.int64))
    compare(folder, "float16", features.astype(np.float16), labels)
    compare(folder, "feature maps", features.reshape(400, 3, 2, 2), labels)
    large = random.normal(size=(3000, 64)).astype(np.float32)  # more than one chunk
    compare(folder, "several chunks", large, random.integers(0, 5, 3000))


def check_half(folder):
    """Finite values over all of float16's range, subnormal ones too, give what NumPy's float32 of them gives."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = np.unique(halves[np.isfinite(halves)])[::16]
    widened = halves.astype(np.float32)
    labels = np.arange(len(halves)) % 3
    (folder / "y.npy").write_bytes(npy_bytes(labels))
    printed = []
    for column in (halves, widened):
        (folder / "x.npy").write_bytes(npy_bytes(np.ascontiguousarray(column[:, None])))
        done = run(folder / "x.npy", folder / "y.npy")
        expect(done.returncode == 0, f"float16 values: {done.stderr.strip()}")
        printed.append(done.stdout)
    expect(printed[0] == printed[1], f"float16 values equal float32 values:\n{printed[0]}\n{printed[1]}")


def with_header(text, data):
    header = text.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def check_refusals(folder, random):
    x = npy_bytes(random.normal(size=(4, 3)).astype(np.float32))
    y = npy_bytes(np.array([0, 1, 0, 1]))
    form = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"
    for name, features, labels, message in [
        ("empty", b"", y, "a .npy file"),
        ("not npy", b"PK\x03\x04 not an array", y, "a .npy file"),
        ("version 9", x[:6] + b"\x09" + x[7:], y, "1, 2 or 3"),
        ("long header", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", y, "65536 bytes"),
        ("float64", npy_bytes(np.zeros((4, 3))), y, "received <f8"),
        ("big endian", npy_bytes(np.zeros((4, 3), ">f4")), y, "received >f4"),
        ("Fortran order", npy_bytes(np.asfortranarray(np.zeros((4, 3), np.float32))), y, "Fortran order"),
        ("no elements", npy_bytes(np.zeros((0, 3), np.float32)), y, "received none"),
        ("one dimension", npy_bytes(np.zeros(4, np.float32)), y, "received 1"),
        ("no dimension", npy_bytes(np.zeros((), np.float32)), y, "received 0"),
        ("nine dimensions", npy_bytes(np.zeros((4, 1, 1, 1, 1, 1, 1, 1, 1), np.float32)), y, "something else"),
        ("integers as features", y, y, "received integers"),
        ("floats as labels", x, x, "received floats"),
        ("too few labels", x, npy_bytes(np.array([0, 1, 0])), "for the labels"),
        ("negative label", x, npy_bytes(np.array([0, 1, -1, 1])), "label of row 2"),
        ("huge label", x, npy_bytes(np.array([0, 1, 2**31 - 1, 1])), "label of row 2"),
        ("label beyond int32", x, npy_bytes(np.array([0, 1, 2**31, 1])), "label of row 2"),
        ("label below int32", x, npy_bytes(np.array([0, -(2**31) - 1, 0, 1])), "label of row 1"),
        ("one row", npy_bytes(np.zeros((1, 3), np.float32)), npy_bytes(np.array([0])), ""),
        ("NaN", npy_bytes(np.array([[0], [1], [np.nan], [2]], np.float32)), y, ""),
        ("something after the array", x + b"\0", y, "received more"),
        ("pickle", npy_bytes(np.array([None])), y, "received"),
        ("product overflows", with_header(form % "4294967296, 4294967296, 2", b""), y, "a larger one"),
        ("size overflows", with_header(form % "99999999999999999999999", b""), y, "something else"),
        ("a terabyte", with_header(form % "4, 68719476736", b"\0" * 64), y, "received 16"),
        ("zero byte", with_header(form % "4, 3" + "\0", b"\0" * 48), y, "zero byte"),
        ("unknown key", with_header("{'descr': '<f4', 'x': 1}", b""), y, "something else"),
        ("no shape", with_header("{'descr': '<f4', 'fortran_order': False}", b""), y, "something else"),
        ("negative size", with_header(form % "-4, 3", b""), y, "something else"),
        ("open string", with_header("{'descr", b""), y, "something else"),
    ]:
        refused(folder, name, features, labels, message)
    for length in range(len(x)):
        refused(folder, f"the first {length} bytes", x[:length], y, "")
    # Whatever a damaged byte means, the program ends by itself.
    for position in range(len(x)):
        (folder / "x.npy").write_bytes(x[:position] + bytes([x[position] ^ (1 << position % 8)]) + x[position + 1 :])
        (folder / "y.npy").write_bytes(y)
        done = run(folder / "x.npy", folder / "y.npy")
        refusal = done.returncode == 1 and re.fullmatch(r"[^\n]*Expected [^\n]*\n", done.stderr)
        expect(done.returncode == 0 or refusal, f"byte {position} damaged: exit code {done.returncode}, {done.stderr}")
    missing = run(folder / "absent.npy", folder / "y.npy")
    expect(missing.returncode == 1 and "absent.npy" in missing.stderr, f"missing file: {missing.stderr!r}")
    expect(subprocess.run([PROGRAM], capture_output=True).returncode == 2, "without arguments: exit code 2")


with tempfile.TemporaryDirectory() as name:
    generator = np.random.default_rng(1)
    check_values(pathlib.Path(name), generator)
    check_half(pathlib.Path(name))
    check_refusals(pathlib.Path(name), generator)
print(f"{PROGRAM}: {'passed' if not failures else f'{len(failures)} failed'}")
sys.exit(1 if failures else 0)
