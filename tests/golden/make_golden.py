#!/usr/bin/env python3
"""Writes the golden files of the parity tests, with PyTorch as the reference.

    python3 tests/golden/make_golden.py            all files, into this folder
    python3 tests/golden/make_golden.py --check    and how far PyTorch's own float32 is from them
    python3 tests/golden/make_golden.py --only bce_sn --out DIR

Needs torch and numpy (Debian: python3-torch, python3-numpy). The tests need
neither: they read the files. README.md in this folder lists what is in them.

Everything runs in float64, from initial values that float32 holds exactly, and
is rounded to float32 once, when it is stored.

One training step:
  1. one training forward of G gives the fakes (one power iteration of every
     spectral norm, batch statistics in batch norm);
  2. G's loss judges them with D as it stands; D's loss judges the real rows and
     the same fakes, detached, with the same weights; fakes have the labels of
     the real rows;
  3. both gradients are computed, then both networks are updated.
"""
import argparse
import copy
import json
import os
import re
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STEPS = 10

# Keys that a configuration does not name have these values.
DEFAULTS = {
    "image": [1, 8, 8], "classes": 10, "batch": 8, "latent": 8, "embedding": 4,
    "g_widths": [16, 24, 32], "d_widths": [32, 24, 16],
    "g_activation": "relu", "d_activation": "relu", "slope": 0.0,  # slope: of leaky_relu
    "spectral_norm": False, "gain": False, "batch_norm": False,    # all three: in G only
    "sn_eps": 1e-12, "bn_eps": 1e-5, "bn_momentum": 0.1,
    "loss": "bce", "sigmoid": False, "a": 0.0, "b": 1.0, "c": 1.0,  # sigmoid, a, b, c: of lsgan
    "r1": 0.0, "r2": 0.0,
    "optimizer": "adam", "lr_g": 1e-3, "lr_d": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8,
    "momentum": 0.0, "weight_decay": 0.0, "ema": 0.0,               # ema 0: none
}
COLOUR = {"image": [3, 6, 5], "classes": 7}
CONFIGS = {
    "bce_sn": {"spectral_norm": True},
    "lsgan_sigmoid_sn": {**COLOUR, "loss": "lsgan", "sigmoid": True, "spectral_norm": True},
    "bce_plain": {},
    "lsgan_pearson": {**COLOUR, "loss": "lsgan", "a": -1.0, "b": 1.0, "c": 0.0},
    "lsgan_r1_r2": {"loss": "lsgan", "r1": 0.3, "r2": 0.3, "batch_norm": True, "slope": 0.2,
                    "g_activation": "leaky_relu", "d_activation": "leaky_relu",
                    "beta1": 0.0, "beta2": 0.99},
    "bce_sgd": {"optimizer": "sgd", "lr_g": 0.05, "lr_d": 0.02, "momentum": 0.9, "weight_decay": 1e-3},
    "bce_gain_bn_ema": {"spectral_norm": True, "gain": True, "batch_norm": True,
                        "lr_g": 1e-3, "lr_d": 4e-4, "weight_decay": 1e-2, "ema": 0.9},
}


# ---------------------------------------------------------------- files

def write_safetensors(path, tensors, metadata):
    """u64 length of the header, JSON header, data. float -> F32, integer -> I32."""
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, value in tensors.items():
        value = np.asarray(value)
        kind, dtype = ("F32", "<f4") if value.dtype.kind == "f" else ("I32", "<i4")
        blob = value.astype(dtype).tobytes()
        header[name] = {"dtype": kind, "shape": list(value.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of 8
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


# ---------------------------------------------------------------- networks

class GainLinear(nn.Linear):
    """y = gain * (W / sigma) x + b: a learnable scalar behind the spectral norm."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return F.linear(x, self.gain * self.weight, self.bias)


def activation(name, slope):
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(slope)


class Generator(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.image = cfg["image"]
        self.embedding = nn.Embedding(cfg["classes"], cfg["embedding"])
        widths = [cfg["latent"] + cfg["embedding"], *cfg["g_widths"], int(np.prod(self.image))]
        layers = []
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            layer = (GainLinear if cfg["gain"] else nn.Linear)(inputs, outputs)
            layers.append(nn.utils.spectral_norm(layer, eps=cfg["sn_eps"]) if cfg["spectral_norm"] else layer)
            if i + 2 == len(widths):
                layers.append(nn.Tanh())
                break
            if cfg["batch_norm"]:
                layers.append(nn.BatchNorm1d(outputs, eps=cfg["bn_eps"], momentum=cfg["bn_momentum"]))
            layers.append(activation(cfg["g_activation"], cfg["slope"]))
        self.model = nn.Sequential(*layers)

    def forward(self, z, y):
        return self.model(torch.cat([z, self.embedding(y)], 1)).reshape(-1, *self.image)


class Discriminator(nn.Module):
    """Ends in logits; a Sigmoid, where there is one, is applied by the loss."""

    def __init__(self, cfg):
        super().__init__()
        self.embedding = nn.Embedding(cfg["classes"], cfg["embedding"])
        widths = [int(np.prod(cfg["image"])) + cfg["embedding"], *cfg["d_widths"], 1]
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [nn.Linear(inputs, outputs), activation(cfg["d_activation"], cfg["slope"])]
        self.model = nn.Sequential(*layers[:-1])  # none behind the last Linear

    def forward(self, x, y):
        return self.model(torch.cat([x.flatten(1), self.embedding(y)], 1))  # [N, 1]


def initialise(network, rng):
    """Values that float32 holds exactly; from numpy, so that no torch version changes them."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            shape, last = tuple(tensor.shape), name.rsplit(".", 1)[1]
            module = network.get_submodule(name.rsplit(".", 1)[0])
            if isinstance(module, nn.Embedding):
                value = rng.standard_normal(shape)
            elif isinstance(module, nn.BatchNorm1d):
                if last not in ("weight", "bias"):
                    continue  # running_mean 0, running_var 1
                value = (last == "weight") + 0.1 * rng.standard_normal(shape)
            elif last in ("weight_u", "weight_v"):
                value = rng.standard_normal(shape)
                value /= np.linalg.norm(value)
            elif last == "gain":
                continue  # 1
            else:
                value = rng.uniform(-1, 1, shape) / np.sqrt(module.in_features)
            tensor.copy_(torch.from_numpy(np.asarray(value, np.float32)))


# ---------------------------------------------------------------- losses

def scores(cfg, logits):
    return torch.sigmoid(logits) if cfg["sigmoid"] else logits


def generator_loss(cfg, fake_logits):
    if cfg["loss"] == "bce":
        return F.softplus(-fake_logits).mean()  # -log D
    return 0.5 * ((scores(cfg, fake_logits) - cfg["c"]) ** 2).mean()


def discriminator_loss(cfg, real_logits, fake_logits):
    if cfg["loss"] == "bce":
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()  # -log D, -log (1 - D)
    return (0.5 * ((scores(cfg, real_logits) - cfg["b"]) ** 2).mean()
            + 0.5 * ((scores(cfg, fake_logits) - cfg["a"]) ** 2).mean())


def gradient_penalty(cfg, gamma, logits, x):
    """gamma / 2 * mean over rows of |d D / d x|^2 (the image only, not the label)."""
    grad, = torch.autograd.grad(scores(cfg, logits).sum(), x, create_graph=True)
    return gamma / 2 * grad.flatten(1).square().sum(1).mean()


def losses(cfg, g, d, z, x, y):
    """Everything that one step computes before it updates anything."""
    fake = g(z, y)
    out = {"fake": fake, "d_fake": d(fake, y)}
    out["loss_g"] = generator_loss(cfg, out["d_fake"])
    real = x.clone().requires_grad_()
    detached = fake.detach().requires_grad_()
    out["d_real"], d_detached = d(real, y), d(detached, y)
    loss_d = discriminator_loss(cfg, out["d_real"], d_detached)
    if cfg["r1"] or cfg["r2"]:
        out["r1"] = gradient_penalty(cfg, cfg["r1"], out["d_real"], real)
        out["r2"] = gradient_penalty(cfg, cfg["r2"], d_detached, detached)
        loss_d = loss_d + out["r1"] + out["r2"]
    out["loss_d"] = loss_d
    return out


def set_gradients(loss, network):
    named = dict(network.named_parameters())
    for parameter, grad in zip(named.values(), torch.autograd.grad(loss, list(named.values()))):
        parameter.grad = grad


# ---------------------------------------------------------------- ten steps

def make_optimizer(cfg, network, lr):
    if cfg["optimizer"] == "sgd":
        return torch.optim.SGD(network.parameters(), lr, momentum=cfg["momentum"],
                               weight_decay=cfg["weight_decay"])
    return torch.optim.Adam(network.parameters(), lr, betas=(cfg["beta1"], cfg["beta2"]),
                            eps=cfg["eps"], weight_decay=cfg["weight_decay"])


def state(prefix, network):
    return {prefix + name: value.detach().numpy().copy() for name, value in network.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def simulate(cfg, seed, dtype):
    """Ten steps. Returns the tensors to store, and the distance to the nearest kink."""
    rng = np.random.default_rng(seed)
    g, d = Generator(cfg).to(dtype), Discriminator(cfg).to(dtype)
    initialise(g, rng)
    initialise(d, rng)
    ema = copy.deepcopy(g)
    optimizers = make_optimizer(cfg, g, cfg["lr_g"]), make_optimizer(cfg, d, cfg["lr_d"])

    # A ReLU input near 0 may fall on the other side in float32: remember the nearest one.
    margin = [np.inf]
    for module in [*g.modules(), *d.modules()]:
        if isinstance(module, (nn.ReLU, nn.LeakyReLU)):
            module.register_forward_hook(lambda _, inputs, __: margin.append(inputs[0].abs().min().item()))

    out = {**state("generator.", g), **state("discriminator.", d)}
    curve_g, curve_d = [], []
    for k in range(STEPS):
        z = rng.standard_normal((cfg["batch"], cfg["latent"])).astype(np.float32)
        y = rng.integers(0, cfg["classes"], cfg["batch"])
        x = rng.uniform(-1, 1, [cfg["batch"], *cfg["image"]]).astype(np.float32)
        out.update({f"z.{k}": z, f"y.{k}": y, f"x.{k}": x})
        z, y, x = torch.from_numpy(z).to(dtype), torch.from_numpy(y), torch.from_numpy(x).to(dtype)

        step = losses(cfg, g, d, z, x, y)
        set_gradients(step["loss_g"], g)
        set_gradients(step["loss_d"], d)
        if k == 0:
            out.update({name: value.detach().numpy() for name, value in step.items()})
            for prefix, network in (("generator.", g), ("discriminator.", d)):
                for name, parameter in network.named_parameters():
                    out["grad." + prefix + name] = parameter.grad.numpy().copy()
            for name, value in g.named_buffers():  # u, v, running statistics behind the first forward
                if not name.endswith("num_batches_tracked"):
                    out["step0.generator." + name] = value.numpy().copy()
        for optimizer in optimizers:
            optimizer.step()
        curve_g.append(step["loss_g"].item())
        curve_d.append(step["loss_d"].item())
        with torch.no_grad():  # the average follows the parameters; buffers are copied
            for average, value in zip(ema.parameters(), g.parameters()):
                average.lerp_(value, 1 - cfg["ema"])
            for average, value in zip(ema.buffers(), g.buffers()):
                average.copy_(value)

    out["curve.g"], out["curve.d"] = np.array(curve_g), np.array(curve_d)
    out.update({**state("final.generator.", g), **state("final.discriminator.", d)})
    with torch.no_grad():  # evaluation: stored u, v and running statistics; inputs z.9, y.9
        out["final.fake"] = g.eval()(z, y).numpy()
        if cfg["ema"]:
            out.update(state("final.ema.generator.", ema))
            out["final.ema.fake"] = ema.eval()(z, y).numpy()
    return out, min(margin)


def vanishing(cfg):
    """Gradients that are 0, or nearly so, by cancellation: batch norm takes away any
    shift and any scale, so the bias and the gain of a Linear in front of it do not matter."""
    if not cfg["batch_norm"]:
        return []
    names = []
    for i in range(len(cfg["g_widths"])):
        names += [f"generator.model.{3 * i}.{p}" for p in (["bias", "gain"] if cfg["gain"] else ["bias"])]
    return names


def write_config(name, directory, check):
    cfg = {**DEFAULTS, **CONFIGS[name]}
    for seed in range(1000):
        out, margin = simulate(cfg, seed, torch.float64)
        if margin > 1e-5:  # float32 errs by about 1e-7 here
            break
    metadata = {key: as_text(value) for key, value in cfg.items()}
    metadata.update(config=name, steps=str(STEPS), seed=str(seed), kink_margin=f"{margin:.1e}",
                    vanishing=",".join(vanishing(cfg)))
    path = os.path.join(directory, name + ".safetensors")
    write_safetensors(path, out, metadata)
    print(f"{name}: {len(out)} tensors, {os.path.getsize(path)} bytes, seed {seed}, kink margin {margin:.1e}")
    if check:
        compare(simulate(cfg, seed, torch.float32)[0], out, vanishing(cfg))


def compare(got, want, skip):
    """Relative error norms of PyTorch's float32 against the golden values."""
    worst = {}
    for name in want:
        if name[:2] in ("z.", "y.", "x.") or any(name.endswith(s) for s in skip):
            continue
        group = name.split(".")[0] if "." in name else name
        difference = np.linalg.norm(np.float64(got[name]) - want[name])
        scale = np.linalg.norm(np.float64(want[name]))
        worst.setdefault(group, []).append((difference / scale if scale else difference, name))
    for name in ("curve.g", "curve.d"):
        worst[name] = [(np.max(np.abs(got[name] - want[name]) / np.abs(want[name])), "largest entry")]
    for group, errors in worst.items():
        if group not in ("generator", "discriminator", "curve"):
            print("    float32: {:10s} {:.1e}  {}".format(group, *max(errors)))


# ---------------------------------------------------------------- bf16

BF16 = {**DEFAULTS, "image": [1, 28, 28], "batch": 64, "latent": 64, "embedding": 32, "spectral_norm": True,
        "g_widths": [64, 128, 256, 512, 1024], "d_widths": [1024, 512, 256, 128, 64]}
BF16_DRAWS = 5

BF16_TEXT = """\
Relative error norms |g - g64| / |g64| of the gradients of one training step of the tutorial's full-size networks: \
g from torch.autocast('cpu', torch.bfloat16) with float32 parameters, g64 from float64. \
norm is |g64|. Every list has one entry a draw; median_error is the median of error. \
Element i (row-major) of tensor t in draw r is float32((u * 2 - 1) * scale), \
u = float32((splitmix64(s) >> 40) / 2^24), s = (t + 1000 * r) * 2^32 + i as u64; \
splitmix64(s): s += 0x9E3779B97F4A7C15; s = (s ^ (s >> 30)) * 0xBF58476D1CE4E5B9; \
s = (s ^ (s >> 27)) * 0x94D049BB133111EB; return s ^ (s >> 31). \
u * 2 - 1 is exact in float32; the product with the float32 scale is rounded once. \
Tensors with normalise are divided by their norm in float64 and rounded to float32. \
Labels are i % 10. The losses are those of the other golden files (the paper's 1/2 in lsgan)."""


def splitmix_uniform(t, count):
    """u in [0, 1) of elements 0 .. count-1 of tensor t, as float32."""
    with np.errstate(over="ignore"):
        s = np.uint64(t * 2 ** 32) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        s = (s ^ (s >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        s = (s ^ (s >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        s = s ^ (s >> np.uint64(31))
    return (s >> np.uint64(40)).astype(np.float32) / np.float32(2 ** 24)


def bf16_tensors(g, d):
    """Name, shape, scale, normalise: in the order that numbers them."""
    rows = []
    for prefix, network in (("generator.", g), ("discriminator.", d)):
        rows.append((prefix + "embedding.weight", network.embedding.weight.shape, 1.0, False))
        for i, layer in enumerate(network.model):
            if isinstance(layer, nn.Linear):
                name, scale = f"{prefix}model.{i}.", layer.in_features ** -0.5
                spectral = hasattr(layer, "weight_u")
                rows.append((name + ("weight_orig" if spectral else "weight"), layer.weight.shape, scale, False))
                rows.append((name + "bias", layer.bias.shape, scale, False))
                if spectral:
                    rows.append((name + "weight_u", layer.weight_u.shape, 1.0, True))
                    rows.append((name + "weight_v", layer.weight_v.shape, 1.0, True))
    rows.append(("z", (BF16["batch"], BF16["latent"]), 1.7, False))
    rows.append(("x", (BF16["batch"], *BF16["image"]), 1.0, False))
    return [(name, tuple(shape), float(np.float32(scale)), normalise) for name, shape, scale, normalise in rows]


def bf16_values(table, draw):
    values = {}
    for t, (name, shape, scale, normalise) in enumerate(table):
        u = splitmix_uniform(t + 1000 * draw, int(np.prod(shape)))
        value = (u * np.float32(2) - np.float32(1)) * np.float32(scale)
        if normalise:
            value = (value / np.linalg.norm(value.astype(np.float64))).astype(np.float32)
        values[name] = torch.from_numpy(value.reshape(shape))
    return values


def bf16_gradients(cfg, values, dtype, autocast):
    g, d = Generator(cfg).to(dtype), Discriminator(cfg).to(dtype)
    for prefix, network in (("generator.", g), ("discriminator.", d)):
        for name, tensor in network.state_dict().items():
            tensor.copy_(values[prefix + name])
    z, x = values["z"].to(dtype), values["x"].to(dtype)
    y = torch.arange(cfg["batch"]) % cfg["classes"]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        fake = g(z, y)
        d_fake, d_real, d_detached = d(fake, y), d(x, y), d(fake.detach(), y)
    if autocast:  # a Sigmoid in the network works on bf16 logits, the loss on float32
        d_fake, d_real, d_detached = [scores(cfg, t).float() for t in (d_fake, d_real, d_detached)]
        cfg = {**cfg, "sigmoid": False}
    loss_g = generator_loss(cfg, d_fake)
    loss_d = discriminator_loss(cfg, d_real, d_detached)
    set_gradients(loss_g, g)
    set_gradients(loss_d, d)
    grads = {"grad." + prefix + name: parameter.grad.double()
             for prefix, network in (("generator.", g), ("discriminator.", d))
             for name, parameter in network.named_parameters()}
    return grads, loss_g.item(), loss_d.item()


def write_bf16(directory):
    torch.set_num_threads(2)
    table = bf16_tensors(Generator(BF16), Discriminator(BF16))
    result = {"what": BF16_TEXT, "batch": BF16["batch"], "image": BF16["image"], "classes": BF16["classes"],
              "latent": BF16["latent"], "embedding": BF16["embedding"],
              "g_widths": BF16["g_widths"], "d_widths": BF16["d_widths"],
              "torch": torch.__version__, "draws": BF16_DRAWS,
              "check_u": {"t": 3, "i": [0, 1, 2], "u": splitmix_uniform(3, 3).astype(float).tolist()},
              "tensors": [dict(t=t, name=name, shape=shape, scale=scale, normalise=normalise)
                          for t, (name, shape, scale, normalise) in enumerate(table)],
              "losses": {}}
    for loss, extra in (("lsgan_sigmoid", {"loss": "lsgan", "sigmoid": True}), ("bce", {"loss": "bce"})):
        cfg = {**BF16, **extra}
        entry = {"loss_g": [], "loss_d": [], "gradients": {}}
        for draw in range(BF16_DRAWS):
            values = bf16_values(table, draw)
            exact, loss_g, loss_d = bf16_gradients(cfg, values, torch.float64, False)
            rough, _, _ = bf16_gradients(cfg, values, torch.float32, True)
            entry["loss_g"].append(loss_g)
            entry["loss_d"].append(loss_d)
            for name, grad in exact.items():
                row = entry["gradients"].setdefault(name, {"norm": [], "error": []})
                row["norm"].append(grad.norm().item())
                row["error"].append(float("%.5g" % ((rough[name] - grad).norm() / grad.norm()).item()))
        for row in entry["gradients"].values():
            row["median_error"] = float(np.median(row["error"]))
        result["losses"][loss] = entry
    path = os.path.join(directory, "bf16_errors.json")
    text = json.dumps(result, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\n\s*", "", m.group()), text)  # a list of numbers on one line
    with open(path, "w") as f:
        f.write(text + "\n")
    errors = [row["median_error"] for e in result["losses"].values() for row in e["gradients"].values()]
    print(f"bf16_errors.json: {os.path.getsize(path)} bytes, median errors {min(errors):.1e} .. {max(errors):.1e}")


def run(doc, configs, write_config, name_of_rest, write_rest):
    """The command line of a script that writes a file for each of `configs`, and the rest."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)), metavar="DIR")
    parser.add_argument("--only", choices=[*configs, name_of_rest], help="one of them")
    parser.add_argument("--check", action="store_true", help="also run float32 and print its errors")
    args = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation
    for name in configs:
        if args.only in (None, name):
            write_config(name, args.out, args.check)
    if args.only in (None, name_of_rest):
        write_rest(args.out)


if __name__ == "__main__":
    run(__doc__, CONFIGS, write_config, "bf16", write_bf16)
