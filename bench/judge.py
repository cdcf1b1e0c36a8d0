#!/usr/bin/env python3
"""A judge for generated MNIST digits.

Trains a small convolutional classifier on real MNIST, then uses it to score
generated images: does the classifier read the digit that was asked for, and
how close is the set of generated images to the set of real ones?

    python3 bench/judge.py train --mnist DIR --out judge.pt
    python3 bench/judge.py score --judge judge.pt --mnist DIR \\
            --images samples.npy --labels labels.npy [--json]

DIR holds the four MNIST files (train-images-idx3-ubyte, ...; .gz is fine too).
samples.npy is float32 [N, 1, 28, 28] in [-1, 1]; labels.npy is integers [N].
`--images train` scores real training images (1,000 per class): a sanity check.

What `score` prints
  label accuracy     share of images that the classifier reads as their label
  Frechet distance   between Gaussians fitted to the 128-wide features of the
                     images and of the MNIST test set (all 10,000). It depends
                     on the judge: compare only numbers from the same one.
  precision, recall  Kynkaanniemi et al. 2019 (arXiv 1904.06991)
  density, coverage  Naeem et al. 2020 (arXiv 2002.09797)
                     k = 5, at most 5,000 random rows a side, fixed seed

Needs Python 3 with torch and numpy (Debian: python3-torch, python3-numpy).
"""
import argparse
import gzip
import hashlib
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 10
FEATURES = 128


# ---------------------------------------------------------------- data

def read_idx(directory, name):
    """Reads one IDX file of unsigned bytes, plain or gzipped."""
    path = os.path.join(directory, name)
    if os.path.exists(path):
        with open(path, "rb") as f:
            raw = f.read()
    elif os.path.exists(path + ".gz"):
        with gzip.open(path + ".gz", "rb") as f:
            raw = f.read()
    else:
        sys.exit(f"judge.py: no {name} or {name}.gz in {directory}")
    if raw[:3] != b"\x00\x00\x08":
        sys.exit(f"judge.py: {path} is not an IDX file of unsigned bytes")
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def load_mnist(directory, split):
    """Images as float32 [N, 1, 28, 28] in [-1, 1], labels as int64 [N]."""
    prefix = {"train": "train", "test": "t10k"}[split]
    images = read_idx(directory, prefix + "-images-idx3-ubyte")
    labels = read_idx(directory, prefix + "-labels-idx1-ubyte")
    images = torch.from_numpy(images.astype(np.float32)) / 127.5 - 1
    return images.unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


# ---------------------------------------------------------------- network

class Judge(nn.Module):
    """[N, 1, 28, 28] -> logits [N, 10]; `features` is the 128-wide layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(),    # 26 x 26
            nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),   # 24 x 24
            nn.MaxPool2d(2),                                                   # 12 x 12
            nn.Conv2d(32, 48, 3, bias=False), nn.BatchNorm2d(48), nn.ReLU(),   # 10 x 10
            nn.Conv2d(48, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),   # 8 x 8
            nn.MaxPool2d(2))                                                   # 4 x 4
        self.wide = nn.Sequential(nn.Linear(64 * 4 * 4, FEATURES), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, x):
        return self.wide(self.conv(x).flatten(1))

    def forward(self, x):
        return self.head(self.dropout(self.features(x)))


def augment(x):
    """Random rotation (+-12 degrees), scale (+-8%) and shift (+-2 pixels)."""
    n = len(x)
    angle = (torch.rand(n) * 2 - 1) * math.radians(12)
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.08
    shift = (torch.rand(n, 2) * 2 - 1) * (2 / 14)  # 14 pixels are one unit
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1),
                         torch.stack([sin, cos, shift[:, 1]], 1)], 1)  # [N, 2, 3]
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1  # outside is black (-1)


@torch.no_grad()
def run(model, images, batch=1000):
    """Predicted labels [N] and features [N, 128] of all images."""
    model.eval()
    labels, features = [], []
    for rows in images.split(batch):
        h = model.features(rows)
        features.append(h)
        labels.append(model.head(h).argmax(1))
    return torch.cat(labels), torch.cat(features)


# ---------------------------------------------------------------- training

def train(args):
    torch.manual_seed(args.seed)
    images, labels = load_mnist(args.mnist, "train")
    test_images, test_labels = load_mnist(args.mnist, "test")
    model, averaged = Judge(), Judge()
    averaged.load_state_dict(model.state_dict())
    per_epoch = len(images) // args.batch
    total = per_epoch * args.epochs
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total, pct_start=0.2)
    start, step = time.time(), 0
    for epoch in range(args.epochs):
        model.train()
        order = torch.randperm(len(images))
        for i in range(per_epoch):
            rows = order[i * args.batch:(i + 1) * args.batch]
            loss = F.cross_entropy(model(augment(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            decay = min(0.998, (1 + step) / (10 + step))  # running average of the weights
            with torch.no_grad():
                current = model.state_dict()
                for name, value in averaged.state_dict().items():
                    if value.is_floating_point():
                        value.lerp_(current[name], 1 - decay)
                    else:
                        value.copy_(current[name])
        accuracy = (run(averaged, test_images)[0] == test_labels).float().mean().item()
        print(f"epoch {epoch + 1}/{args.epochs}  loss {loss.item():.4f}  "
              f"test accuracy {100 * accuracy:.2f}%  {time.time() - start:.0f} s", flush=True)
    torch.save({"model": averaged.state_dict(), "test_accuracy": accuracy}, args.out)
    print(f"wrote {args.out}")


# ---------------------------------------------------------------- scores

def frechet_distance(a, b):
    """|mu_a - mu_b|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)), in float64."""
    a, b = a.double().numpy(), b.double().numpy()
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # tr (Ca Cb)^(1/2) = tr (Ra Cb Ra)^(1/2) with Ra = Ca^(1/2); both are symmetric.
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    trace = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cb @ root), 0, None)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * trace)


def kth_neighbour(x, k):
    """Distance from each row to its k-th nearest other row."""
    return torch.cat([torch.cdist(rows, x).kthvalue(k + 1, dim=1).values  # the 1st is the row itself
                      for rows in x.split(1000)])


def prdc(real, fake, k):
    """Precision, recall, density, coverage (k nearest neighbours)."""
    real_radius, fake_radius = kth_neighbour(real, k), kth_neighbour(fake, k)
    distance = torch.cdist(real, fake)             # [real, fake]
    inside_real = distance < real_radius[:, None]  # fake j lies in the ball around real i
    inside_fake = distance < fake_radius[None, :]  # real i lies in the ball around fake j
    return {"precision": inside_real.any(0).float().mean().item(),
            "recall": inside_fake.any(1).float().mean().item(),
            "density": inside_real.sum().item() / (k * len(fake)),
            "coverage": (distance.min(1).values < real_radius).float().mean().item()}


def load_samples(args):
    if args.images == "train":  # sanity check: real images, 1,000 per class
        images, labels = load_mnist(args.mnist, "train")
        rows = torch.cat([(labels == c).nonzero()[:1000, 0] for c in range(CLASSES)])
        return images[rows], labels[rows]
    if args.labels is None:
        sys.exit("judge.py: --labels is needed")
    images, labels = np.load(args.images), np.load(args.labels)
    if images.shape[1:] != (1, 28, 28) or labels.shape != images.shape[:1]:
        sys.exit(f"judge.py: images must be [N, 1, 28, 28] and labels [N]; "
                 f"got {images.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= CLASSES:
        sys.exit("judge.py: labels must be integers from 0 to 9")
    if not np.isfinite(images).all() or np.abs(images).max() > 1.001:
        sys.exit("judge.py: images must be finite and within [-1, 1]")
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))


def score(args):
    with open(args.judge, "rb") as f:
        judge_hash = hashlib.sha256(f.read()).hexdigest()[:16]
    saved = torch.load(args.judge)
    model = Judge()
    model.load_state_dict(saved["model"])
    images, labels = load_samples(args)
    real_images, _ = load_mnist(args.mnist, "test")
    predicted, fake = run(model, images)
    _, real = run(model, real_images)

    right = (predicted == labels).float()
    result = {"judge": judge_hash, "judge_test_accuracy": round(saved["test_accuracy"], 5),
              "images": len(images), "accuracy": right.mean().item(),
              "accuracy_per_class": [right[labels == c].mean().item() if (labels == c).any() else None
                                     for c in range(CLASSES)],
              "frechet_distance": frechet_distance(fake, real)}
    if len(fake) <= args.k:
        sys.exit(f"judge.py: at least {args.k + 1} images are needed")
    generator = torch.Generator().manual_seed(args.seed)
    pick = lambda x: x[torch.randperm(len(x), generator=generator)[:args.rows]]
    result.update(prdc(pick(real), pick(fake), args.k), k=args.k, rows=min(args.rows, len(fake)))

    if args.json:
        print(json.dumps(result))
        return
    print(f"judge {judge_hash}, {100 * result['judge_test_accuracy']:.2f}% on the MNIST test set")
    print(f"{len(images)} images against the MNIST test set; k {args.k}, {args.rows} rows a side")
    print(f"label accuracy    {result['accuracy']:.4f}   per class  " + "  ".join(
        f"{c}: " + ("-" if a is None else f"{a:.3f}") for c, a in enumerate(result["accuracy_per_class"])))
    print(f"Frechet distance  {result['frechet_distance']:.3f}")
    for name in ("precision", "recall", "density", "coverage"):
        print(f"{name:<18}{result[name]:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("train", help="train the classifier on MNIST")
    p.add_argument("--mnist", required=True, metavar="DIR")
    p.add_argument("--out", required=True, metavar="FILE.pt")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--lr", type=float, default=4e-3, help="highest learning rate of the one-cycle schedule")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2)
    p.set_defaults(run=train)
    p = commands.add_parser("score", help="score generated images")
    p.add_argument("--judge", required=True, metavar="FILE.pt")
    p.add_argument("--mnist", required=True, metavar="DIR")
    p.add_argument("--images", required=True, metavar="FILE.npy", help="or the word 'train'")
    p.add_argument("--labels", metavar="FILE.npy")
    p.add_argument("--k", type=int, default=5, help="neighbours (default 5)")
    p.add_argument("--rows", type=int, default=5000, help="random rows a side (default 5000)")
    p.add_argument("--seed", type=int, default=0, help="of the random rows")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--json", action="store_true")
    p.set_defaults(run=score)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
