#!/usr/bin/env python3
"""Writes the golden files of whole steps with the newer parts, parts.safetensors and conditions.safetensors, with
PyTorch as the reference.

    python3 tests/golden/make_parts.py            all files, into this folder
    python3 tests/golden/make_parts.py --check    and how far PyTorch's own float32 is from them
    python3 tests/golden/make_parts.py --only conv_hinge --out DIR

Needs what make_golden.py needs, and shares its helpers. README.md in this folder lists what is in the files.

A configuration is a dictionary of the program's own keys; the test applies the same text with `--set`'s parser. Random
numbers (dropout, augmentation, noise, the points of penalties) are made here anew: Philox 4x32-10 with the counter
(block, step, stream), where the stream is the FNV-1a hash of "PASS/NAME".

Everything runs in float64, from values that float32 holds exactly, and is rounded to float32 once, when it is stored.
"""
import copy
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from make_golden import as_text, compare, run, set_gradients, state, write_safetensors

SEED = 0x5_0000_0003  # of the random numbers; both words of the key matter

# The values of keys that a configuration does not name; all are written to the file.
DEFAULTS = {
    "model.kind": "mlp", "model.latent": 6, "model.embedding": 4, "model.pack": 1,
    "model.g.widths": [12, 10], "model.g.activation": "relu", "model.g.spectral_norm": False, "model.g.gain": False,
    "model.g.batch_norm": False, "model.g.condition": "embedding", "model.g.dropout": 0.0,
    "model.d.widths": [12, 8], "model.d.activation": "leaky_relu", "model.d.spectral_norm": False,
    "model.d.gain": False, "model.d.condition": "embedding", "model.d.dropout": 0.0,
    "loss.name": "bce", "loss.saturating": False, "loss.smoothing": 0.0, "loss.auxiliary": 1.0,
    "penalty.r1": 0.0, "penalty.r2": 0.0, "penalty.wgan_gp": 0.0, "penalty.lsgan_gp": 0.0, "penalty.every": 1,
    "augment.translation": 0.0, "augment.cutout": 0.0, "augment.brightness": 0.0,
    "augment.noise": 0.0, "augment.noise_steps": 0,
    "optim.name": "adam", "optim.beta1": 0.5, "optim.beta2": 0.9, "optim.epsilon": 1e-8,
    "optim.momentum": 0.0, "optim.momentum_final": 0.0, "optim.momentum_steps": 0, "optim.weight_decay": 0.0,
    "optim.schedule": "constant", "optim.schedule_start": 0, "optim.schedule_steps": 10000,
    "optim.schedule_final": 0.1, "optim.warmup": 0, "optim.g.lr": 1e-3, "optim.d.lr": 1e-3,
    "train.batch": 6, "train.steps": 5, "train.d_steps": 1, "train.ema": 0.0, "train.ema_warmup": False,
}

def number(name, minimum, maximum, mean, deviation, period=0.0, fourier=0):
    """A column of numbers, as model files describe it."""
    return {"name": name, "kind": "numeric", "unit": "", "range": [minimum, maximum], "deviation": deviation,
            "count": 100, "distinct": 100, "largest_gap": 1.0,
            "scaling": {"kind": "standard", "offset": mean, "scale": deviation}, "period": period, "fourier": fourier}


def categories(name, count):
    return {"name": name, "kind": "categorical", "categories": count, "names": []}


ANGLE = number("angle", 0.0, 350.0, 175.0, 101.5, period=360.0, fourier=1)
SIZE = number("size", -2.0, 13.0, 4.25, 3.5)

# Name: shape of a sample, number of labels (0: unconditional) or columns of the condition, settings.
CONFIGS = {
    "conv_hinge": ([3, 8, 12], 5, {
        "model.kind": "conv", "model.g.widths": [10, 8, 6], "model.g.batch_norm": True,
        "model.g.condition": "batch_norm", "model.d.widths": [4, 6, 12], "model.d.spectral_norm": True,
        "model.d.gain": True, "model.d.condition": "projection", "loss.name": "hinge",
        "optim.beta1": 0.0, "optim.d.lr": 4e-3}),
    "conv_auxiliary": ([1, 12, 8], 4, {
        "model.kind": "conv", "model.g.widths": [6, 5], "model.g.activation": "leaky_relu", "model.g.batch_norm": True,
        "model.g.spectral_norm": True, "model.g.gain": True, "model.d.widths": [4, 6], "model.d.activation": "tanh",
        "model.d.spectral_norm": True, "model.d.condition": "auxiliary", "loss.smoothing": 0.1, "loss.auxiliary": 0.7,
        "train.ema": 0.9, "train.ema_warmup": True}),
    "conv_relativistic": ([3, 4, 8], 3, {
        "model.kind": "conv", "model.g.widths": [9, 6, 5], "model.g.condition": "one_hot", "model.d.widths": [4, 5, 8],
        "model.d.condition": "one_hot", "loss.name": "relativistic", "penalty.r1": 0.3, "penalty.r2": 0.2}),
    "conv_pack": ([2, 4, 4], 3, {
        "model.kind": "conv", "model.pack": 2, "model.g.widths": [6, 5], "model.d.widths": [5, 6, 9],
        "penalty.r1": 0.4}),
    "mlp_pack": ([1, 4, 5], 3, {
        "model.pack": 3, "model.d.condition": "one_hot", "loss.saturating": True, "penalty.r1": 0.5,
        "penalty.r2": 0.5}),
    "paper": ([1, 4, 5], 3, {
        "model.kind": "cgan-paper", "model.d.activation": "relu", "model.g.widths": [10, 6, 12],
        "model.d.widths": [6, 3, 5],
        "model.g.dropout": 0.5, "model.d.dropout": 0.5, "optim.name": "sgd", "optim.g.lr": 0.1, "optim.d.lr": 0.05,
        "optim.momentum": 0.5, "optim.momentum_final": 0.7, "optim.momentum_steps": 4,
        "optim.schedule": "exponential", "optim.schedule_start": 1, "optim.schedule_steps": 3,
        "train.steps": 6}),
    "paper_pack": ([3], 2, {
        "model.kind": "cgan-paper", "model.d.activation": "relu", "model.pack": 2, "model.g.widths": [8, 4, 7],
        "model.d.widths": [5, 3, 4],
        "penalty.r2": 0.3}),
    "mlp_random": ([2, 6, 5], 4, {
        "model.g.dropout": 0.25, "model.d.dropout": 0.25, "model.d.condition": "projection",
        "loss.name": "wasserstein", "penalty.wgan_gp": 10.0, "penalty.r1": 0.2,
        "augment.translation": 0.3, "augment.cutout": 0.4, "augment.brightness": 0.6, "augment.noise": 0.1,
        "augment.noise_steps": 4}),
    "vector_near": ([3], 0, {
        "model.g.activation": "tanh", "loss.name": "least_squares", "penalty.lsgan_gp": 30.0, "augment.noise": 0.2,
        "model.d.spectral_norm": True, "model.d.gain": True}),
    "vector_schedule": ([2], 3, {
        "model.g.batch_norm": True, "model.g.activation": "leaky_relu", "loss.name": "relativistic",
        "penalty.r1": 0.3, "penalty.r2": 0.1, "penalty.every": 3, "train.d_steps": 2, "optim.warmup": 3,
        "optim.schedule": "linear", "optim.schedule_start": 2, "optim.schedule_steps": 5, "optim.d.lr": 3e-3,
        "optim.weight_decay": 1e-3, "train.ema": 0.6, "train.ema_warmup": True, "train.steps": 10}),
    "residual": ([1, 4, 6], 3, {
        "model.kind": "residual", "model.g.widths": [8, 8], "model.g.activation": "tanh", "model.d.widths": [8, 16],
        "model.d.activation": "tanh", "penalty.r1": 0.3, "penalty.r2": 0.2, "train.steps": 2}),
    "conv_columns": ([2, 8, 4], [categories("label", 4), ANGLE], {
        "model.kind": "conv", "model.g.widths": [7, 6, 5], "model.g.batch_norm": True,
        "model.g.condition": "batch_norm", "model.d.widths": [4, 5, 9], "model.d.condition": "projection",
        "penalty.r1": 0.4}),
    "mlp_columns": ([3], [SIZE, categories("colour", 3), ANGLE], {
        "model.g.condition": "one_hot", "model.d.condition": "auxiliary", "model.d.spectral_norm": True,
        "loss.name": "least_squares", "loss.auxiliary": 0.6, "penalty.r1": 0.2, "penalty.r2": 0.3}),
}


# ---------------------------------------------------------------- random numbers

def philox(key, counter):
    """Ten rounds of Philox 4x32 (Salmon et al., SC 2011): lists of two and of four 32-bit words."""
    mask = 0xFFFFFFFF
    key, counter = list(key), list(counter)
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(right >> 32) ^ counter[1] ^ key[0], right & mask, (left >> 32) ^ counter[3] ^ key[1], left & mask]
        key = [(key[0] + 0x9E3779B9) & mask, (key[1] + 0xBB67AE85) & mask]
    return counter


def fnv(name):
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


class Random:
    """What random layers draw from: the numbers depend on the step, the pass and the name."""
    step, pass_name = 0, ""

    @classmethod
    def words(cls, name, count):
        stream = fnv(cls.pass_name + "/" + name)
        blocks = [philox((SEED & 0xFFFFFFFF, SEED >> 32), (block, 0, cls.step, stream))
                  for block in range((count + 3) // 4)]
        return np.array(blocks, np.uint32).reshape(-1)

    @classmethod
    def uniform(cls, name, shape):
        count = math.prod(shape)
        return torch.from_numpy((cls.words(name, count)[:count] >> 8).astype(np.float64) / 2 ** 24).reshape(shape)

    @classmethod
    def normal(cls, name, shape):
        """Box and Muller's pairs, in float32 as the program makes them."""
        count = math.prod(shape)
        u = ((cls.words(name, count) >> 8).astype(np.float32) / np.float32(2 ** 24)).reshape(-1, 2)
        radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - u[:, 0]))
        angle = np.float32(2 * np.pi) * u[:, 1]
        values = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]
        return torch.from_numpy(values.astype(np.float64)).reshape(shape)


# ---------------------------------------------------------------- conditions

def columns_of(condition):
    """The columns of a condition that may be a number of labels."""
    if isinstance(condition, list):
        return condition
    return [categories("label", condition)] if condition else []


def is_numeric(column):
    return column["kind"] == "numeric"


def width_of(column):
    """The number of network inputs for a value."""
    if not is_numeric(column):
        return column["categories"]
    return 2 * (1 + column["fourier"]) if column["period"] else 1 + 2 * column["fourier"]


def features(column, values):
    """The network inputs for numbers, rounded to float32 as the program does."""
    values = np.float64(values)
    if column["period"]:
        columns, angle, waves = [], 2 * np.pi * values / column["period"], 1 + column["fourier"]
    else:
        scaling = column["scaling"]
        columns = [(values - scaling["offset"]) / scaling["scale"]]
        low, high = column["range"]
        angle, waves = np.pi * (values - low) / (high - low), column["fourier"]
    for k in range(waves):
        columns += [np.sin(2 ** k * angle), np.cos(2 ** k * angle)]
    return np.float32(np.stack(columns, 1))


def draw_condition(rng, columns, rows):
    """Random values of each column: labels, or numbers in the data's units."""
    return [rng.uniform(*column["range"], rows).astype(np.float32) if is_numeric(column) else
            rng.integers(0, column["categories"], rows) for column in columns]


def as_tensors(columns, values, dtype):
    """Labels, and features of numbers."""
    return [torch.from_numpy(features(column, value)).to(dtype) if is_numeric(column) else torch.from_numpy(value)
            for column, value in zip(columns, values)]


def names_of(columns, name):
    """Names of the columns' values: that of the label has no column name."""
    return [name if column["name"] == "label" else f"{name}.{column['name']}" for column in columns]


def vectors(column, y, dtype):
    """One-hot categories, or the features of numbers."""
    return y if is_numeric(column) else F.one_hot(y, column["categories"]).to(dtype)


def add_layers(network, name, columns, make):
    """A layer for each column: `network.name` for the label, `network.name.COLUMN` for others."""
    label = [column for column in columns if column["name"] == "label"]
    network.add_module(name, make(label[0]) if label else nn.Module())
    for column in columns:
        if column["name"] != "label":
            network.get_submodule(name).add_module(column["name"], make(column))


def layers_of(network, name, columns):
    return [network.get_submodule(path) for path in names_of(columns, name)]


# ---------------------------------------------------------------- layers

MARGINS = []  # distances to the nearest kink


class Gain:
    """y = gain * (W / sigma) x + b: a learnable scalar behind the spectral norm. Mixed into a layer with a weight."""

    def add_gain(self):
        self.gain = nn.Parameter(torch.ones(()))
        return self

    def forward(self, x):
        bias = self.bias.reshape([-1] + [1] * (x.dim() - 2))
        return self.gain * (super().forward(x) - bias) + bias


class GainLinear(Gain, nn.Linear):
    pass


class GainConv2d(Gain, nn.Conv2d):
    pass


class GainConvTranspose2d(Gain, nn.ConvTranspose2d):
    pass


def layer(kind, network, *args):
    """A layer of this torch class, with spectral norm and gain as the network has them."""
    kinds = {nn.Linear: GainLinear, nn.Conv2d: GainConv2d, nn.ConvTranspose2d: GainConvTranspose2d}
    made = kinds[kind](*args).add_gain() if network["gain"] else kind(*args)
    return nn.utils.spectral_norm(made, eps=1e-12) if network["spectral_norm"] else made


class Rows(nn.Module):
    """A column's part in the scale and shift of a batch norm: rows of categories, features times a matrix."""

    def __init__(self, column, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width_of(column), channels))
        self.bias = nn.Parameter(torch.zeros(width_of(column), channels))


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift are sums over the columns of the condition."""

    def __init__(self, columns, channels):
        super().__init__()
        self.columns = columns
        for column in columns:
            if column["name"] == "label":
                rows = Rows(column, channels)
                self.weight, self.bias = rows.weight, rows.bias
            else:
                self.add_module(column["name"], Rows(column, channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def rows(self, name, start, y):
        """[N, channels]. The table of categories in the first column holds the start, too."""
        total = 0 if not is_numeric(self.columns[0]) else start
        for column, values in zip(self.columns, y):
            table = getattr(self if column["name"] == "label" else self.get_submodule(column["name"]), name)
            total = total + (values @ table if is_numeric(column) else table[values])
        return total

    def forward(self, x, y):
        h = F.batch_norm(x, self.running_mean, self.running_var, training=self.training, momentum=0.1, eps=1e-5)
        shape = [*x.shape[:2]] + [1] * (x.dim() - 2)
        return h * self.rows("weight", 1, y).reshape(shape) + self.rows("bias", 0, y).reshape(shape)


class Activation(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        if self.name == "tanh":
            return torch.tanh(x)
        MARGINS.append(x.abs().min().item())
        return F.relu(x) if self.name == "relu" else F.leaky_relu(x, 0.2)


def dropout(name, x, probability, training):
    if not training or probability == 0:
        return x
    return x * (Random.uniform(name + ".dropout", x.shape) > probability) / (1 - probability)


class Dropout(nn.Module):
    def __init__(self, name, probability):
        super().__init__()
        self.name, self.probability = name, probability

    def forward(self, x):
        return dropout(self.name, x, self.probability, self.training)


def maxout(x, pieces):
    grouped = x.reshape(len(x), -1, pieces)
    top = grouped.detach().topk(2, dim=2).values
    MARGINS.append((top[:, :, 0] - top[:, :, 1]).min().item())
    return grouped.max(2).values


# ---------------------------------------------------------------- networks

def of_network(cfg, letter):
    return {key.split(".")[2]: value for key, value in cfg.items() if key.startswith(f"model.{letter}.")}


class Network(nn.Module):
    """Common parts of the families: condition, hidden layers, places in the Sequential called `model`."""

    def __init__(self, cfg, letter, sample, columns):
        super().__init__()
        self.name = {"g": "generator", "d": "discriminator"}[letter]
        self.net, self.sample_shape, self.columns = of_network(cfg, letter), sample, columns
        self.embed, self.kind = cfg["model.embedding"], cfg["model.kind"]
        self.pack = cfg["model.pack"] if letter == "d" else 1
        self.joined = 0
        if columns and self.net["condition"] in ("embedding", "one_hot") and self.kind != "cgan-paper":
            embedded = self.net["condition"] == "embedding"
            add_layers(self, "embedding" if embedded else "label", columns,
                       lambda column: nn.Embedding(column["categories"], self.embed)
                       if embedded and not is_numeric(column) else nn.Linear(width_of(column), self.embed))
            self.joined = self.embed * self.pack * len(columns)
        self.model = nn.Sequential()

    def place(self, module):
        self.model.append(module)

    def hidden(self, kind, *args, channels):
        """A layer and what stands behind it."""
        self.place(layer(kind, self.net, *args))
        if self.net.get("batch_norm"):
            conditional = self.columns and self.net["condition"] == "batch_norm"
            plain = nn.BatchNorm1d if kind is nn.Linear and channels == args[1] else nn.BatchNorm2d
            self.place(ConditionalBatchNorm(self.columns, channels) if conditional else plain(channels))
        self.place(Activation(self.net["activation"]))
        if self.net["dropout"] > 0:
            self.place(Dropout(f"{self.name}.model.{len(self.model)}", self.net["dropout"]))

    def join(self, x, y):
        if not self.joined:
            return x
        embedded = self.net["condition"] == "embedding"
        parts = [x]
        for made, column, values in zip(layers_of(self, "embedding" if embedded else "label", self.columns),
                                        self.columns, y):
            parts.append(made(values if embedded else vectors(column, values, x.dtype)).reshape(len(x), -1))
        return torch.cat(parts, 1)

    def run(self, modules, h, y):
        for module in modules:
            h = module(h, y) if isinstance(module, ConditionalBatchNorm) else module(h)
        return h


class Generator(Network):
    def __init__(self, cfg, sample, columns):
        super().__init__(cfg, "g", sample, columns)
        inputs, widths = cfg["model.latent"] + self.joined, self.net["widths"]
        if self.kind == "conv":
            for width in widths[:-2]:
                self.hidden(nn.Linear, inputs, width, channels=width)
                inputs = width
            self.split = len(self.model)  # the layer behind which vectors become pictures
            self.size = sample[1] // 4, sample[2] // 4
            self.hidden(nn.Linear, inputs, math.prod(self.size) * widths[-2], channels=widths[-2])
            self.hidden(nn.ConvTranspose2d, widths[-2], widths[-1], 4, 2, 1, channels=widths[-1])
            self.place(layer(nn.ConvTranspose2d, self.net, widths[-1], sample[0], 4, 2, 1))
        else:
            for width in widths:
                self.hidden(nn.Linear, inputs, width, channels=width)
                inputs = width
            self.place(layer(nn.Linear, self.net, inputs, math.prod(sample)))

    def forward(self, z, y):
        h = self.join(z, y)
        if self.kind == "conv":
            h = self.run(self.model[:self.split + 1], h, y)
            h = h.reshape(len(z), *self.size, -1).permute(0, 3, 1, 2)  # made with the channels last
            return torch.tanh(self.run(self.model[self.split + 1:], h, y))
        h = self.run(self.model, h, y)
        return (torch.tanh(h) if len(self.sample_shape) == 3 else h).reshape(-1, *self.sample_shape)


class Discriminator(Network):
    def __init__(self, cfg, sample, columns):
        super().__init__(cfg, "d", sample, columns)
        widths, inputs = self.net["widths"], math.prod(sample) * self.pack
        self.split = 0
        if self.kind == "conv":
            channels = sample[0] * self.pack
            for width in widths[:2]:
                self.hidden(nn.Conv2d, channels, width, 4, 2, 1, channels=width)
                channels = width
            self.split, widths = len(self.model), widths[2:]
            inputs = channels * (sample[1] // 4) * (sample[2] // 4)
        inputs += self.joined
        for width in widths:
            self.hidden(nn.Linear, inputs, width, channels=width)
            inputs = width
        self.place(layer(nn.Linear, self.net, inputs, 1))
        if columns and self.net["condition"] == "projection":
            add_layers(self, "projection", columns, lambda column: nn.Linear(width_of(column), inputs, bias=False)
                       if is_numeric(column) else nn.Embedding(column["categories"], inputs))
        if columns and self.net["condition"] == "auxiliary":
            add_layers(self, "auxiliary", columns, lambda column: layer(nn.Linear, self.net, inputs, width_of(column)))

    def forward(self, x, y):
        """Logits [N / pack, 1] and what it predicts of each column, if it does."""
        rows = len(x) // self.pack
        h = x.reshape(rows, -1, *self.sample_shape[1:]) if self.split else x.reshape(rows, -1)
        if self.split:
            h = self.run(self.model[:self.split], h, y).permute(0, 2, 3, 1).reshape(rows, -1)
        h = self.run(self.model[self.split:-1], self.join(h, y), y)
        logits = self.model[-1](h)
        if hasattr(self, "projection"):
            for made, values in zip(layers_of(self, "projection", self.columns), y):
                logits = logits + (h * made(values)).sum(1, keepdim=True)
        if not hasattr(self, "auxiliary"):
            return logits, None
        return logits, [made(h) for made in layers_of(self, "auxiliary", self.columns)]


class Weight(nn.Module):
    """A parameter that multiplies its input, broadcast."""

    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, x):
        return x * self.weight


class Block(nn.Module):
    """x plus what three convolutions make of it; the modules stand in `model`."""

    def __init__(self, network, width):
        super().__init__()
        begin = len(network.model)
        network.hidden(nn.Conv2d, width, 2 * width, 1, channels=2 * width)
        network.hidden(nn.Conv2d, 2 * width, 2 * width, 3, 1, 1, 1, width // 8, channels=2 * width)
        network.place(nn.Conv2d(2 * width, width, 1, bias=False))
        self.steps = [lambda h, module=module: module(h) for module in network.model[begin:]]

    def forward(self, x):
        h = x
        for step in self.steps:
            h = step(h)
        return x + h


class ResidualNetwork(Network):
    """R3GAN's networks, resized by the nearest neighbour and by averages."""

    def stages(self, resize):
        """The stages, as functions; `resize` stands before (G) or behind (D) a change of channels."""
        widths, steps = self.net["widths"], []
        for i, width in enumerate(widths):
            if i > 0:
                change = []
                if width != widths[i - 1]:
                    self.place(nn.Conv2d(widths[i - 1], width, 1, bias=False))
                    change = [lambda h, module=self.model[-1]: module(h)]
                steps += change + [resize] if self.name == "generator" else [resize] + change
            steps += [Block(self, width) for _ in range(2)]
        return steps


class ResidualGenerator(ResidualNetwork):
    def __init__(self, cfg, sample, columns):
        super().__init__(cfg, "g", sample, columns)
        widths = self.net["widths"]
        sides = [side >> (len(widths) - 1) for side in sample[1:]]
        self.place(nn.Linear(cfg["model.latent"] + self.joined, widths[0]))
        self.basis = Weight(*sides, widths[0])
        self.blocks = self.stages(lambda h: F.interpolate(h, scale_factor=2, mode="nearest"))
        self.place(nn.Conv2d(widths[-1], sample[0], 1))

    def forward(self, z, y):
        h = self.basis(self.model[0](self.join(z, y))[:, None, None, :]).permute(0, 3, 1, 2)
        for step in self.blocks:
            h = step(h)
        return torch.tanh(self.model[-1](h))


class ResidualDiscriminator(ResidualNetwork):
    def __init__(self, cfg, sample, columns):
        super().__init__(cfg, "d", sample, columns)
        widths = self.net["widths"]
        sides = [side >> (len(widths) - 1) for side in sample[1:]]
        self.place(nn.Conv2d(sample[0] * self.pack, widths[0], 1))
        self.blocks = self.stages(lambda h: F.avg_pool2d(h, 2))
        self.place(nn.Conv2d(widths[-1], widths[-1], sides, groups=widths[-1], bias=False))
        self.hidden(nn.Linear, widths[-1] + self.joined, widths[-1], channels=widths[-1])
        self.place(nn.Linear(widths[-1], 1))

    def forward(self, x, y):
        h = self.model[0](x.reshape(len(x) // self.pack, -1, *self.sample_shape[1:]))
        for step in self.blocks:
            h = step(h)
        h = self.join(self.model[-4](h).flatten(1), y)
        return self.run(self.model[-3:], h, y), None


class PaperNetwork(Network):
    """Input and label through a hidden layer each, then one of both."""

    def __init__(self, cfg, letter, sample, columns, inputs, outputs, pieces, names):
        super().__init__(cfg, letter, sample, columns)
        del self.model
        first, label, joint = self.net["widths"]
        self.pieces = dict(zip(names, pieces))
        self.names = names
        known = sum(map(width_of, columns)) * self.pack
        for name, fan_in, width in zip(names, (inputs, known, first + label), (first, label, joint)):
            self.add_module(name, nn.Linear(fan_in, width * self.pieces[name]))
        self.output = nn.Linear(joint, outputs)

    def hidden_of(self, name, x):
        h = self.get_submodule(name)(x)
        if self.pieces[name] > 1:
            h = maxout(h, self.pieces[name])
        else:
            h = Activation("relu")(h)
        return dropout(f"{self.name}.{name}", h, self.net["dropout"], self.training)

    def both(self, x, y):
        known = torch.cat([vectors(column, values, x.dtype) for column, values in zip(self.columns, y)], 1)
        known = known.reshape(len(x), -1)
        h = torch.cat([self.hidden_of(self.names[0], x), self.hidden_of("label", known)], 1)
        return self.output(self.hidden_of("joint", h))


class PaperGenerator(PaperNetwork):
    def __init__(self, cfg, sample, columns):
        super().__init__(cfg, "g", sample, columns, cfg["model.latent"], math.prod(sample), (1, 1, 1),
                         ("latent", "label", "joint"))

    def forward(self, z, y):
        h = self.both(z, y)
        return (2 * torch.sigmoid(h) - 1 if len(self.sample_shape) == 3 else h).reshape(-1, *self.sample_shape)


class PaperDiscriminator(PaperNetwork):
    def __init__(self, cfg, sample, columns):
        super().__init__(cfg, "d", sample, columns, math.prod(sample) * cfg["model.pack"], 1, (5, 5, 4),
                         ("sample", "label", "joint"))

    def forward(self, x, y):
        if len(self.sample_shape) == 3:
            x = (x + 1) * 0.5  # images count from 0
        return self.both(x.reshape(len(x) // self.pack, -1), y), None


def initialise(network, rng):
    """Values that float32 holds exactly; from numpy, so that no torch version changes them."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            shape, (path, last) = tuple(tensor.shape), name.rsplit(".", 1)
            module = network.get_submodule(path)
            if last in ("running_mean", "running_var", "num_batches_tracked"):
                continue
            if last == "gain":
                value = rng.uniform(0.8, 1.5)
            elif isinstance(module, nn.Embedding):
                value = rng.standard_normal(shape)
            elif isinstance(module, Rows):
                value = 0.2 * rng.standard_normal(shape)
            elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, ConditionalBatchNorm)):
                value = (last == "weight") + 0.2 * rng.standard_normal(shape)
            elif last in ("weight_u", "weight_v"):
                value = rng.standard_normal(shape)
                value /= np.linalg.norm(value)
            else:
                weight = getattr(module, "weight_orig", module.weight)
                transposed = isinstance(module, nn.ConvTranspose2d)
                value = rng.uniform(-1, 1, shape) / np.sqrt(weight.numel() / weight.shape[1 if transposed else 0])
            tensor.copy_(torch.from_numpy(np.asarray(value, np.float32)))


# ---------------------------------------------------------------- what D sees

def shifted(x, u, reach_y, reach_x):
    """Each picture moved by -reach .. reach pixels, zeros moving in."""
    out, (height, width) = torch.zeros_like(x), x.shape[2:]
    for n, (uy, ux) in enumerate(u.tolist()):
        dy, dx = int(uy * (2 * reach_y + 1)) - reach_y, int(ux * (2 * reach_x + 1)) - reach_x
        padded = F.pad(x[n], (width + reach_x,) * 2 + (height + reach_y,) * 2)
        top, left = height + reach_y - dy, width + reach_x - dx
        out[n] = padded[:, top:top + height, left:left + width]
    return out


def cutout_mask(u, height, width, box_height, box_width):
    """0 in a box, 1 elsewhere. Pixels are tried one by one."""
    mask = torch.ones(len(u), 1, height, width, dtype=torch.float64)
    for n, (uy, ux) in enumerate(u.tolist()):
        top = int(uy * (height + 1 - box_height % 2)) - box_height // 2
        left = int(ux * (width + 1 - box_width % 2)) - box_width // 2
        for row in range(height):
            for column in range(width):
                if top <= row < top + box_height and left <= column < left + box_width:
                    mask[n, 0, row, column] = 0
    return mask


def augmented(x, translation, cutout, brightness):
    name, (height, width) = "discriminator.", x.shape[-2:]
    share = lambda of, length: int(of * length + 0.5)
    if brightness:
        x = x + brightness * (Random.uniform(name + "brightness", [len(x), 1, 1, 1]).to(x.dtype) - 0.5)
    if translation:
        x = shifted(x, Random.uniform(name + "translation", [len(x), 2]), share(translation, height),
                    share(translation, width))
    if cutout:
        x = x * cutout_mask(Random.uniform(name + "cutout", [len(x), 2]), height, width, share(cutout, height),
                            share(cutout, width)).to(x.dtype)
    return x


def judge(cfg, d, x, y, pass_name):
    Random.pass_name = pass_name
    x = augmented(x, cfg["augment.translation"], cfg["augment.cutout"], cfg["augment.brightness"])
    if cfg["augment.noise"]:
        over = cfg["augment.noise_steps"]
        left = max(0.0, 1 - Random.step / over) if over else 1.0
        x = x + cfg["augment.noise"] * left * Random.normal("discriminator.noise", x.shape).to(x.dtype)
    return d(x, y)


# ---------------------------------------------------------------- losses

def generator_loss(name, real, fake, saturating=False):
    if name == "bce":
        if saturating:
            return F.logsigmoid(-fake).mean()
        return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    if name == "least_squares":
        return 0.5 * F.mse_loss(fake, torch.ones_like(fake))
    if name == "relativistic":
        return F.binary_cross_entropy_with_logits(fake - real, torch.ones_like(fake))
    return -fake.mean()  # hinge, wasserstein


def discriminator_loss(name, real, fake, smoothing=0.0):
    if name == "bce":
        return (F.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing))
                + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))
    if name == "least_squares":
        return 0.5 * F.mse_loss(real, torch.ones_like(real)) + 0.5 * F.mse_loss(fake, torch.zeros_like(fake))
    if name == "relativistic":
        return F.binary_cross_entropy_with_logits(real - fake, torch.ones_like(fake))
    if name == "hinge":
        MARGINS.extend([(1 - real).abs().min().item(), (1 + fake).abs().min().item()])
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return fake.mean() - real.mean()


def auxiliary_loss(columns, predicted, y):
    """Cross entropies of categories and mean squared errors of the features of numbers."""
    return sum(F.mse_loss(p, values) if is_numeric(column) else F.cross_entropy(p, values)
               for column, p, values in zip(columns, predicted, y))


def row_gradients(logits, x):
    grad, = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return grad.reshape(len(logits), -1)


def penalty(name, real, fake, real_logits, fake_logits, discriminate, uniform):
    """The term that a weight multiplies. real and fake require gradients."""
    if name in ("r1", "r2"):
        pair = (real_logits, real) if name == "r1" else (fake_logits, fake)
        return 0.5 * row_gradients(*pair).square().sum(1).mean()
    if name == "wgan_gp":
        u = uniform("mix", [len(real)] + [1] * (real.dim() - 1))
        x = u * real + (1 - u) * fake
    else:
        x = real + 0.5 * real.std(unbiased=False) * uniform("near", real.shape)
    x = x.detach().requires_grad_()
    return (row_gradients(discriminate(x), x).norm(dim=1) - 1).square().mean()


# ---------------------------------------------------------------- steps

def step_losses(cfg, g, d, z, x, y, penalized):
    """Everything that one step computes before it updates anything. D's spectral norms iterate once in it."""
    g.train(), d.train()
    Random.pass_name = "generate"
    fake = g(z, y)
    real, detached = x.clone().requires_grad_(), fake.detach().requires_grad_()
    real_logits, real_predicted = judge(cfg, d, real, y, "real")
    for module in d.modules():  # no more iterations
        if hasattr(module, "weight_u"):
            module.eval()
    fake_logits, fake_predicted = judge(cfg, d, fake, y, "fake")
    detached_logits, detached_predicted = judge(cfg, d, detached, y, "fake")
    loss_g = generator_loss(cfg["loss.name"], real_logits, fake_logits, cfg["loss.saturating"])
    loss_d = discriminator_loss(cfg["loss.name"], real_logits, detached_logits, cfg["loss.smoothing"])
    if real_predicted is not None:
        missed = lambda predicted: cfg["loss.auxiliary"] * auxiliary_loss(d.columns, predicted, y)
        loss_g = loss_g + missed(fake_predicted)
        loss_d = loss_d + missed(real_predicted) + missed(detached_predicted)

    def uniform(name, shape):
        Random.pass_name = "penalty"
        return Random.uniform(name, shape).to(x.dtype)

    for name in ("r1", "r2", "wgan_gp", "lsgan_gp"):
        weight = cfg["penalty." + name] * cfg["penalty.every"]
        if weight and penalized:
            loss_d = loss_d + weight * penalty(name, real, detached, real_logits, detached_logits,
                                               lambda x: judge(cfg, d, x, y, "penalty")[0], uniform)
    return {"fake": fake, "d_fake": fake_logits, "d_real": real_logits, "loss_g": loss_g, "loss_d": loss_d}


def update(cfg, optimizer, lr, t):
    """One update after t others, with the rate and momentum of its time."""
    over = min(max((t - cfg["optim.schedule_start"]) / cfg["optim.schedule_steps"], 0), 1)
    if cfg["optim.schedule"] == "linear":
        lr *= (1 - over) + over * cfg["optim.schedule_final"]
    if cfg["optim.schedule"] == "exponential":
        lr *= cfg["optim.schedule_final"] ** over
    if cfg["optim.warmup"]:
        lr *= min((t + 1) / cfg["optim.warmup"], 1)
    for group in optimizer.param_groups:
        group["lr"] = lr
        if cfg["optim.momentum_steps"]:
            over = min(t / cfg["optim.momentum_steps"], 1)
            group["momentum"] = (1 - over) * cfg["optim.momentum"] + over * cfg["optim.momentum_final"]
    optimizer.step()


def make_optimizer(cfg, network):
    if cfg["optim.name"] == "sgd":
        return torch.optim.SGD(network.parameters(), 1.0, momentum=cfg["optim.momentum"],
                               weight_decay=cfg["optim.weight_decay"])
    return torch.optim.Adam(network.parameters(), 1.0, betas=(cfg["optim.beta1"], cfg["optim.beta2"]),
                            eps=cfg["optim.epsilon"], weight_decay=cfg["optim.weight_decay"])


def simulate(cfg, sample, columns, seed, dtype):
    """The steps. Returns the tensors to store, and the distance to the nearest kink."""
    MARGINS[:] = [np.inf]
    rng = np.random.default_rng(seed)
    families = {"cgan-paper": (PaperGenerator, PaperDiscriminator),
                "residual": (ResidualGenerator, ResidualDiscriminator)}
    g, d = (family(cfg, sample, columns).to(dtype)
            for family in families.get(cfg["model.kind"], (Generator, Discriminator)))
    initialise(g, rng)
    initialise(d, rng)
    networks = (("generator.", g), ("discriminator.", d))
    ema = copy.deepcopy(g)
    optimizers = {network: make_optimizer(cfg, network) for _, network in networks}

    out = {**state("generator.", g), **state("discriminator.", d)}
    curve_g, curve_d, updates_of_g = [], [], 0
    for k in range(cfg["train.steps"]):
        Random.step = k
        z = rng.standard_normal((cfg["train.batch"], cfg["model.latent"])).astype(np.float32)
        values = draw_condition(rng, columns, cfg["train.batch"])
        x = rng.uniform(-1, 1, [cfg["train.batch"], *sample]).astype(np.float32)
        out[f"z.{k}"] = z
        out.update({f"{name}.{k}": value for name, value in zip(names_of(columns, "y"), values)})
        out[f"x.{k}"] = x
        z, x, y = torch.from_numpy(z).to(dtype), torch.from_numpy(x).to(dtype), as_tensors(columns, values, dtype)

        step = step_losses(cfg, g, d, z, x, y, penalized=k % cfg["penalty.every"] == 0)
        set_gradients(step["loss_g"], g)
        set_gradients(step["loss_d"], d)
        if k == 0:
            out.update({name: value.detach().numpy() for name, value in step.items()})
            for prefix, network in networks:
                for name, parameter in network.named_parameters():
                    out["grad." + prefix + name] = parameter.grad.numpy().copy()
                for name, value in network.named_buffers():
                    if not name.endswith("num_batches_tracked"):
                        out["step0." + prefix + name] = value.numpy().copy()
        update(cfg, optimizers[d], cfg["optim.d.lr"], k)
        curve_g.append(step["loss_g"].item())
        curve_d.append(step["loss_d"].item())
        if (k + 1) % cfg["train.d_steps"]:
            continue
        update(cfg, optimizers[g], cfg["optim.g.lr"], updates_of_g)
        decay = cfg["train.ema"]
        if cfg["train.ema_warmup"]:
            decay = min(decay, (1 + updates_of_g) / (10 + updates_of_g))
        for name, average in ema.state_dict().items():  # running statistics too
            value = g.state_dict()[name]
            follow = name.endswith(("weight_u", "weight_v", "num_batches_tracked"))
            average.copy_(value if follow else decay * average + (1 - decay) * value)
        updates_of_g += 1

    out["curve.g"], out["curve.d"] = np.array(curve_g), np.array(curve_d)
    out.update({**state("final.generator.", g), **state("final.discriminator.", d)})
    with torch.no_grad():  # evaluation: stored u, v and running statistics; the last z and y
        out["final.fake"] = g.eval()(z, y).numpy()
        if cfg["train.ema"]:
            out.update(state("final.ema.generator.", ema))
            out["final.ema.fake"] = ema.eval()(z, y).numpy()
    return out, min(MARGINS)


def vanishing(cfg, network):
    """Gradients that are 0, or nearly so, by cancellation, and what drifts with their parameters: bias and gain in
    front of a batch norm; the last bias of a D whose loss is of differences."""
    names = []
    if isinstance(network, Generator):
        modules = list(network.model)
        for i, module in enumerate(modules[1:]):
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, ConditionalBatchNorm)):
                prefix, before = f"generator.model.{i}.", modules[i]
                if hasattr(before, "gain"):
                    names.append(prefix + "gain")
                if network.kind != "conv" or i != network.split:  # there every pixel has a bias of its own
                    names += [prefix + "bias", f"generator.model.{i + 1}.running_mean"]
    elif cfg["loss.name"] in ("relativistic", "wasserstein"):
        last = "output" if isinstance(network, PaperNetwork) else f"model.{len(network.model) - 1}"
        names.append(f"discriminator.{last}.bias")
    return names


def write_config(name, directory, check):
    sample, condition, settings = CONFIGS[name]
    columns = columns_of(condition)
    cfg = {**DEFAULTS, **settings}
    assert cfg.keys() == DEFAULTS.keys()
    for seed in range(1000):
        out, margin = simulate(cfg, sample, columns, seed, torch.float64)
        if margin > 1e-5:  # float32 errs by about 1e-7 here
            break
    paper = cfg["model.kind"] == "cgan-paper"
    skip = [] if paper else vanishing(cfg, Generator(cfg, sample, columns))
    skip += vanishing(cfg, (PaperDiscriminator if paper else Discriminator)(cfg, sample, columns))
    described = "classes" if isinstance(condition, int) else "condition"
    metadata = {"config": name, "image": as_text(sample), described: json.dumps(condition),
                "batch": str(cfg["train.batch"]), "steps": str(cfg["train.steps"]), "random_seed": str(SEED),
                "seed": str(seed), "kink_margin": f"{margin:.1e}", "vanishing": ",".join(skip),
                "settings": "\n".join(f"{key}={as_text(value)}" for key, value in cfg.items())}
    path = os.path.join(directory, name + ".safetensors")
    write_safetensors(path, out, metadata)
    print(f"{name}: {len(out)} tensors, {os.path.getsize(path)} bytes, seed {seed}, kink margin {margin:.1e}")
    if check:
        compare(simulate(cfg, sample, columns, seed, torch.float32)[0], out, skip)


# ---------------------------------------------------------------- parts by themselves

LOSSES = [("bce", ""), ("bce", "saturating"), ("bce", "smoothing"), ("hinge", ""), ("least_squares", ""),
          ("relativistic", ""), ("wasserstein", "")]
SMOOTHING = 0.2


def loss_parts(rng, out):
    """Losses of logits [N, 1], and gradients by them."""
    real = (3 * rng.standard_normal((7, 1))).astype(np.float32)
    fake = (3 * rng.standard_normal((7, 1))).astype(np.float32)
    real[:2, 0], fake[:2, 0] = (60, -60), (-70, 70)  # far out
    out.update({"loss.real": real, "loss.fake": fake})
    real, fake = (torch.from_numpy(t).double().requires_grad_() for t in (real, fake))
    for name, option in LOSSES:
        for of in ("g", "d"):
            loss = (generator_loss(name, real, fake, option == "saturating") if of == "g" else
                    discriminator_loss(name, real, fake, SMOOTHING if option == "smoothing" else 0.0))
            by = torch.autograd.grad(loss, [real, fake], allow_unused=True)
            key = f"loss.{name}.{option or 'plain'}.{of}"
            out[key] = loss.detach().numpy()
            for part, grad in zip(("real", "fake"), by):
                out[f"{key}.by_{part}"] = np.zeros((7, 1)) if grad is None else grad.numpy()
    logits = (4 * rng.standard_normal((5, 6))).astype(np.float32)
    logits[0, 2] = 300  # exp of it is beyond float32
    labels = rng.integers(0, 6, 5)
    leaf = torch.from_numpy(logits).double().requires_grad_()
    loss = F.cross_entropy(leaf, torch.from_numpy(labels))
    loss.backward()
    out.update({"entropy.logits": logits, "entropy.labels": labels, "entropy": loss.detach().numpy(),
                "entropy.by_logits": leaf.grad.numpy()})


def penalty_parts(rng, out):
    """Penalties on D(x) = tanh(x W1 + b) W2, and gradients by its weights; alone and of samples packed in pairs."""
    values = {"real": rng.uniform(-1, 1, (6, 2, 3)), "fake": rng.standard_normal((6, 2, 3)),
              "mix": rng.integers(0, 2 ** 24, (6, 1, 1)) / 2 ** 24,
              "near": rng.integers(0, 2 ** 24, (6, 2, 3)) / 2 ** 24}
    values = {name: np.float32(value) for name, value in values.items()}
    out.update({"penalty." + name: value for name, value in values.items()})
    fixed = {name: torch.from_numpy(value).double() for name, value in values.items()}
    for pack in (1, 2):
        shapes = {"w1": (6 * pack, 5), "b": (1, 5), "w2": (5, 1)}
        weights = {name: np.float32(rng.standard_normal(shape)) for name, shape in shapes.items()}
        leaves = {name: torch.from_numpy(value).double().requires_grad_() for name, value in weights.items()}
        out.update({f"penalty.pack{pack}.{name}": value for name, value in weights.items()})

        def discriminate(x):
            return torch.tanh(x.reshape(6 // pack, -1) @ leaves["w1"] + leaves["b"]) @ leaves["w2"]

        for name in ("r1", "r2", "wgan_gp", "lsgan_gp"):
            real, fake = fixed["real"].clone().requires_grad_(), fixed["fake"].clone().requires_grad_()
            term = penalty(name, real, fake, discriminate(real), discriminate(fake), discriminate,
                           lambda stream, shape: fixed[stream].reshape(shape))
            key = f"penalty.pack{pack}.{name}"
            out[key] = term.detach().numpy()
            for weight, grad in zip(leaves, torch.autograd.grad(term, list(leaves.values()))):
                out[f"{key}.by_{weight}"] = grad.numpy()


def augment_parts(rng, out):
    """The changes with the numbers of the pass "real" of step 3, one by one and together, and the gradient by x of the
    sum of result * weights; moves and boxes with numbers at the ends of [0, 1)."""
    x, weights = (np.float32(rng.standard_normal((6, 2, 7, 4))) for _ in range(2))
    out.update({"augment.x": x, "augment.weights": weights})
    Random.step, Random.pass_name = 3, "real"
    for name, options in (("translation", (0.3, 0, 0)), ("cutout", (0, 0.5, 0)), ("brightness", (0, 0, 0.8)),
                          ("all", (0.3, 0.5, 0.8))):
        leaf = torch.from_numpy(x).double().requires_grad_()
        result = augmented(leaf, *options)
        (result * torch.from_numpy(weights).double()).sum().backward()
        out.update({f"augment.{name}": result.detach().numpy(), f"augment.{name}.by_x": leaf.grad.numpy()})
    last = 1 - 2.0 ** -24
    u = np.float32([[0, 0], [last, last], [0, last], [0.5, 0.5], [0.34, 0.66], [last, 0.2]])
    out["augment.u"] = u
    u = torch.from_numpy(u).double()
    for reach_y, reach_x in ((0, 1), (2, 3), (9, 4)):  # also beyond the picture
        out[f"augment.shift.{reach_y}.{reach_x}"] = shifted(torch.from_numpy(x).double(), u, reach_y, reach_x).numpy()
    for height, width in ((3, 2), (2, 1), (7, 4), (0, 3)):
        out[f"augment.box.{height}.{width}"] = cutout_mask(u, 7, 4, height, width).numpy()


CONDITION = [categories("colour", 5), SIZE, ANGLE]


class Joined(nn.Module):
    """tanh of what join_condition makes of x, times a matrix."""

    def __init__(self, embedded):
        super().__init__()
        self.embedded = embedded
        add_layers(self, "embedding" if embedded else "label", CONDITION,
                   lambda column: nn.Embedding(5, 2) if embedded and not is_numeric(column) else
                   nn.Linear(width_of(column), 2))

    def forward(self, x, y, given):
        made = layers_of(self, "embedding" if self.embedded else "label", CONDITION)
        rows = [made(values if self.embedded else vectors(column, values, x.dtype))
                for made, column, values in zip(made, CONDITION, y)]
        return (torch.tanh(torch.cat([x, *rows], 1) @ given["joined"]) * given["weights"]).sum()


class Normalized(nn.Module):
    """tanh behind a conditional batch norm of x times a matrix."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(ConditionalBatchNorm(CONDITION, 4))

    def forward(self, x, y, given):
        return (torch.tanh(self.model[0](x @ given["hidden"], y)) * given["weights"]).sum()


class Projected(nn.Module):
    """The sum of a D's logits with projection."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 1))
        add_layers(self, "projection", CONDITION, lambda column: nn.Linear(width_of(column), 4, bias=False)
                   if is_numeric(column) else nn.Embedding(5, 4))

    def forward(self, x, y, given):
        h = torch.tanh(x @ given["hidden"])
        return (self.model(h) + sum((h * made(values)).sum(1, keepdim=True)
                                    for made, values in zip(layers_of(self, "projection", CONDITION), y))).sum()


class Predicted(nn.Module):
    """The loss of what a D predicts of the condition, and the sum of its logits."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 1))
        add_layers(self, "auxiliary", CONDITION, lambda column: nn.Linear(4, width_of(column)))

    def forward(self, x, y, given):
        h = torch.tanh(x @ given["hidden"])
        predicted = [made(h) for made in layers_of(self, "auxiliary", CONDITION)]
        return auxiliary_loss(CONDITION, predicted, y) + self.model(h).sum()


def write_conditions(directory):
    """Each way in of a condition of three columns: a scalar, its gradients, half the squared gradient by x (as R1 has
    it) and its gradients."""
    rng, out, rows = np.random.default_rng(12), {}, 7
    values = draw_condition(rng, CONDITION, rows)
    given = {"x": (rows, 3), "hidden": (3, 4), "joined": (9, 4), "weights": (rows, 4)}
    given = {name: np.float32(rng.standard_normal(shape)) for name, shape in given.items()}
    out.update({"condition." + name: value for name, value in given.items()})
    out.update({f"condition.{name}": value for name, value in zip(names_of(CONDITION, "y"), values)})
    for column, value in zip(CONDITION, values):
        if is_numeric(column):
            out[f"condition.features.{column['name']}"] = features(column, value)
    fixed = {name: torch.from_numpy(value).double() for name, value in given.items()}
    for way, network in (("embedding", Joined(True)), ("one_hot", Joined(False)), ("norm", Normalized()),
                         ("projection", Projected()), ("auxiliary", Predicted())):
        initialise(network.double(), rng)
        parameters = {f"{way}.{name}": value for name, value in network.named_parameters()}
        out.update({name: value.detach().numpy().copy() for name, value in parameters.items()})
        x = fixed["x"].clone().requires_grad_()
        y = [value.requires_grad_() if is_numeric(column) else value
             for column, value in zip(CONDITION, as_tensors(CONDITION, values, torch.float64))]
        of = {f"{way}.x": x, f"{way}.size": y[1], f"{way}.angle": y[2], **parameters}
        value = network(x, y, fixed)
        gradients = torch.autograd.grad(value, list(of.values()), create_graph=True)
        steepness = 0.5 * gradients[0].square().sum()
        second = torch.autograd.grad(steepness, list(of.values()), allow_unused=True)
        out.update({f"value.{way}": value.detach().numpy(), f"steepness.{way}": steepness.detach().numpy()})
        for name, leaf, first, by in zip(of, of.values(), gradients, second):
            out[f"by.{name}"] = first.detach().numpy()
            out[f"steepness.by.{name}"] = (torch.zeros_like(leaf) if by is None else by).detach().numpy()
    path = os.path.join(directory, "conditions.safetensors")
    write_safetensors(path, out, {"condition": json.dumps(CONDITION)})
    print(f"conditions: {len(out)} tensors, {os.path.getsize(path)} bytes")


def write_parts(directory):
    write_conditions(directory)
    rng, out = np.random.default_rng(11), {}
    loss_parts(rng, out)
    penalty_parts(rng, out)
    augment_parts(rng, out)
    path = os.path.join(directory, "parts.safetensors")
    write_safetensors(path, out, {"losses": ",".join(f"{name}.{option or 'plain'}" for name, option in LOSSES),
                                  "smoothing": str(SMOOTHING), "random_seed": str(SEED)})
    print(f"parts: {len(out)} tensors, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    run(__doc__, CONFIGS, write_config, "parts", write_parts)
