#!/usr/bin/env python3
"""Writes metrics.safetensors: inputs and reference values for the tests of src/metrics.

    python3 tests/golden/make_metrics.py [--out DIR]

Needs numpy and scipy (Debian: python3-scipy). Everything is computed in float64, by the formulas of the papers written
as plainly as numpy allows, from inputs that float32 holds exactly.
"""
import argparse
import json
import os
import struct

import numpy as np
from scipy.linalg import sqrtm
from scipy.special import logsumexp
from scipy.spatial.distance import cdist

K = 5


def write_safetensors(path, tensors, metadata):
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, value in tensors.items():
        blob = np.asarray(value).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(np.shape(value)), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def frechet(a, b):
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)


def frechet_of_few(a, b):
    """The same, but tr (Ca Cb)^(1/2) is the sum of singular values of A B^T, where Ca = A^T A: sound if C is singular."""
    root = lambda x: (x - x.mean(0)) / np.sqrt(len(x) - 1)
    cross = np.linalg.svd(root(a) @ root(b).T, compute_uv=False).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + (root(a) ** 2).sum() + (root(b) ** 2).sum() - 2 * cross


def mmd_squared(a, b):
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    n, m = len(a), len(b)
    aa, bb = kernel(a, a), kernel(b, b)
    return ((aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1))
            - 2 * kernel(a, b).mean())


def prdc(real, fake):
    radius = lambda x: np.sort(cdist(x, x), axis=1)[:, K]  # the 0th is the row itself
    real_radius, fake_radius, distance = radius(real), radius(fake), cdist(real, fake)
    margin = min(np.abs(distance - real_radius[:, None]).min(), np.abs(distance - fake_radius[None, :]).min())
    assert margin > 1e-5, margin  # float32 must not decide otherwise
    in_real, in_fake = distance < real_radius[:, None], distance < fake_radius[None, :]
    return [in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum() / (K * len(fake)),
            (distance.min(1) < real_radius).mean()]


def parzen(samples, validation, test):
    def log_likelihoods(rows, sigma):
        d = samples.shape[1]
        return (logsumexp(-cdist(rows, samples, "sqeuclidean") / (2 * sigma**2), axis=1) - np.log(len(samples))
                - d / 2 * np.log(2 * np.pi * sigma**2))
    sigmas = np.logspace(-1, 0, 10)
    sigma = sigmas[np.argmax([log_likelihoods(validation, s).mean() for s in sigmas])]
    values = log_likelihoods(test, sigma)
    return [values.mean(), values.std(ddof=1) / np.sqrt(len(values)), sigma]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    args = parser.parse_args()
    random = np.random.default_rng(7)
    exact = lambda x: x.astype(np.float32).astype(np.float64)

    # Features: correlated, not centred, and fakes that miss a part of the real ones.
    mix = random.normal(size=(6, 6)) / 2
    real = exact(random.normal(size=(90, 6)) @ mix + 1)
    fake = exact(random.normal(size=(70, 6)) @ mix * 0.7 + 1.3)
    few = exact(fake[:4])  # fewer rows than columns: the covariance is singular
    # Pixels: of the size for which one of the ten widths in the middle is the best.
    images = lambda n: exact(np.clip(0.5 + 0.3 * random.normal(size=(n, 12)), 0, 1))
    samples, validation, test = images(60), images(20), images(30)

    tensors = {"real": real, "fake": fake, "samples": samples, "validation": validation, "test": test,
               "frechet": frechet(real, fake), "frechet.few": frechet_of_few(real, few), "mmd": mmd_squared(real, fake),
               "prdc": prdc(real, fake), "parzen": parzen(samples, validation, test)}
    for name in ("frechet", "frechet.few", "mmd", "prdc", "parzen"):
        print(name, tensors[name])
    write_safetensors(os.path.join(args.out, "metrics.safetensors"), tensors, {"k": str(K)})


if __name__ == "__main__":
    main()
