#!/usr/bin/env python3
"""Times PyTorch on the training step or the sampler of this project's networks.

    python3 bench/torch_step.py --batch 64 --steps 200
    python3 bench/torch_step.py --batch 64 --precision bf16 --model default
    python3 bench/torch_step.py --batch 1 --sample
    python3 bench/torch_step.py --batch 64 --serve       reads "run K" lines, answers each with a line

Prints one line of JSON: {"median_ms": ..., "min_ms": ..., "images_per_s": ..., ...}.
images_per_s is batch / median. Steps with and without penalties alternate; the median is over whole rounds of them,
of the mean step. With --serve the warm-up is done before the first
answer, and nothing but answers is written, so that another program can take turns
with this one on the same cores. "quit" or the end of the input ends it.

  --model tutorial   generator 96-64-128-256-512-1024-784, spectral norm on every
                     Linear, ReLU, Tanh; discriminator 816-1024-512-256-128-64-1,
                     ReLU, Sigmoid; MSELoss with targets 0 and 1; Adam 3e-4
  --model default    generator 96-256-512-1024-784, batch norm, LeakyReLU(0.2), Tanh;
                     discriminator 816-1024-512-256-128-64-1, LeakyReLU(0.2), no Sigmoid;
                     least squares (0, 1, 1) with the paper's 1/2; R1 and R2 with gamma 0.3 every
                     fourth step, four times as strong; Adam 2e-4, betas (0, 0.99); running
                     average of G, 0.999: the preset lsgan-r1r2
  --model conv       the same training, with Adam 3e-4, of convolutional networks with about a
                     million parameters each: the preset conv, G's widths 176 and 64. Generator
                     96-(176, 7, 7), transposed convolutions to (64, 14, 14) and (1, 28, 28), batch
                     norm; discriminator: convolutions to (32, 14, 14) and (64, 7, 7), with the
                     label's embedding 3168-256-1

The step is written the way PyTorch users write it: the generator is updated first,
through the discriminator; then the discriminator, on real rows and fake.detach().
--freeze-d keeps the generator's backward pass from filling D's weight gradients
(most code does not; it saves time). --one-pass-d puts real and fake rows through D as
one batch. Images wait in memory as float32: no data loader is timed.

Needs Python 3 with torch (Debian: python3-torch).
"""
import argparse
import json
import statistics
import sys
import time

import torch
from torch import nn

IMAGE, CLASSES, LATENT, EMBEDDING = (1, 28, 28), 10, 64, 32
PIXELS = 28 * 28
GAMMA, PENALTY_EVERY = 0.3, 4


def linears(widths):
    return [nn.Linear(i, o) for i, o in zip(widths, widths[1:])]


def leaky():
    return nn.LeakyReLU(0.2, inplace=True)


def generator_layers(model):
    if model == "tutorial":
        layers = []
        for linear in linears([LATENT + EMBEDDING, 64, 128, 256, 512, 1024, PIXELS]):
            layers += [nn.utils.spectral_norm(linear), nn.ReLU(inplace=True)]
        return layers[:-1]
    if model == "conv":
        return [nn.Linear(LATENT + EMBEDDING, 176 * 7 * 7), nn.Unflatten(1, (176, 7, 7)), nn.BatchNorm2d(176), leaky(),
                nn.ConvTranspose2d(176, 64, 4, 2, 1), nn.BatchNorm2d(64), leaky(), nn.ConvTranspose2d(64, 1, 4, 2, 1)]
    *hidden, last = linears([LATENT + EMBEDDING, 256, 512, 1024, PIXELS])
    layers = []
    for linear in hidden:
        layers += [linear, nn.BatchNorm1d(linear.out_features), leaky()]
    return layers + [last]


class Generator(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, EMBEDDING)
        self.model = nn.Sequential(*generator_layers(model), nn.Tanh())

    def forward(self, z, labels):
        return self.model(torch.cat([z, self.embedding(labels)], dim=-1)).reshape(-1, *IMAGE)


class Discriminator(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, EMBEDDING)
        self.features = nn.Flatten()
        if model == "conv":
            self.features = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), leaky(), nn.Conv2d(32, 64, 4, 2, 1), leaky(),
                                          nn.Flatten())
            layers = [nn.Linear(64 * 7 * 7 + EMBEDDING, 256), leaky(), nn.Linear(256, 1)]
        else:
            layers = []
            for linear in linears([PIXELS + EMBEDDING, 1024, 512, 256, 128, 64, 1]):
                layers += [linear, nn.ReLU(inplace=True) if model == "tutorial" else leaky()]
            layers = layers[:-1] + ([nn.Sigmoid()] if model == "tutorial" else [])
        self.model = nn.Sequential(*layers)

    def forward(self, images, labels):
        return self.model(torch.cat([self.features(images), self.embedding(labels)], dim=-1))


class Trainer:
    def __init__(self, args):
        self.args = args
        self.g, self.d = Generator(args.model), Discriminator(args.model)
        betas = (0.9, 0.999) if args.model == "tutorial" else (0.0, 0.99)
        rate = 2e-4 if args.model == "default" else 3e-4
        self.g_optim = torch.optim.Adam(self.g.parameters(), lr=rate, betas=betas)
        self.d_optim = torch.optim.Adam(self.d.parameters(), lr=rate, betas=betas)
        self.period = 1 if args.model == "tutorial" else PENALTY_EVERY
        self.average = Generator(args.model)
        self.average.load_state_dict(self.g.state_dict())
        self.images = torch.rand(4 * args.batch, *IMAGE) * 2 - 1
        self.labels = torch.randint(0, CLASSES, [4 * args.batch])
        self.mse = nn.MSELoss()
        self.count = 0

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.args.precision == "bf16")

    def judge(self, real, fake, labels):
        if self.args.one_pass_d:
            return self.d(torch.cat([real, fake]), torch.cat([labels, labels])).chunk(2)
        return self.d(real, labels), self.d(fake, labels)

    def step(self):
        batch = self.args.batch
        first = self.count % 4 * batch
        penalized = self.count % self.period == 0
        self.count += 1
        real, labels = self.images[first:first + batch], self.labels[first:first + batch]
        if self.args.model == "tutorial":
            self.tutorial_step(real, labels)
        else:
            self.default_step(real, labels, penalized)

    def tutorial_step(self, real, labels):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        self.g_optim.zero_grad()
        self.freeze_d(True)
        with self.autocast():
            fake = self.g(torch.randn(len(real), LATENT), labels)
            g_loss = self.mse(self.d(fake, labels).float(), ones)
        g_loss.backward()
        self.g_optim.step()
        self.freeze_d(False)

        self.d_optim.zero_grad()
        with self.autocast():
            on_real, on_fake = self.judge(real, fake.detach(), labels)
            d_loss = self.mse(on_real.float(), ones) + self.mse(on_fake.float(), zeros)
        d_loss.backward()
        self.d_optim.step()

    def default_step(self, real, labels, penalized):
        self.g_optim.zero_grad()
        self.freeze_d(True)
        with self.autocast():
            fake = self.g(torch.randn(len(real), LATENT), labels)
            g_loss = 0.5 * (self.d(fake, labels).float() - 1).square().mean()
        g_loss.backward()
        self.g_optim.step()
        self.freeze_d(False)
        with torch.no_grad():
            for average, value in zip(self.average.parameters(), self.g.parameters()):
                average.lerp_(value, 0.001)

        self.d_optim.zero_grad()
        real, fake = real.detach(), fake.detach().float()
        if penalized:
            real.requires_grad_()
            fake.requires_grad_()
        with self.autocast():
            on_real, on_fake = self.judge(real, fake, labels)
        on_real, on_fake = on_real.float(), on_fake.float()
        d_loss = 0.5 * (on_real - 1).square().mean() + 0.5 * on_fake.square().mean()
        if penalized:
            r1, r2 = torch.autograd.grad(on_real.sum() + on_fake.sum(), [real, fake], create_graph=True)
            squares = r1.flatten(1).square().sum(1).mean() + r2.flatten(1).square().sum(1).mean()
            d_loss = d_loss + PENALTY_EVERY * GAMMA / 2 * squares
        d_loss.backward()
        self.d_optim.step()

    def freeze_d(self, frozen):
        if self.args.freeze_d:
            self.d.requires_grad_(not frozen)


class Sampler:
    def __init__(self, args):
        self.args = args
        self.g = Generator(args.model).eval()
        self.labels = torch.arange(args.batch) % CLASSES
        self.period = 1

    @torch.no_grad()
    def step(self):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.args.precision == "bf16"):
            self.g(torch.randn(self.args.batch, LATENT), self.labels)


def measure(work, args, steps):
    times, rounds = [], -(-steps // work.period)
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(work.period):
            work.step()
        times.append((time.perf_counter() - start) / work.period)
    median = statistics.median(times)
    return json.dumps({"median_ms": round(1e3 * median, 4), "min_ms": round(1e3 * min(times), 4),
                       "images_per_s": round(args.batch / median, 1), "steps": rounds * work.period, "batch": args.batch,
                       "model": args.model, "mode": "sample" if args.sample else "train",
                       "precision": args.precision, "threads": args.threads, "torch": torch.__version__})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["tutorial", "default", "conv"], default="tutorial")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32",
                        help="f32 eager, or bf16 autocast with f32 weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=20, metavar="STEPS")
    parser.add_argument("--steps", type=int, default=200, metavar="K")
    parser.add_argument("--sample", action="store_true", help="time the generator in evaluation mode instead")
    parser.add_argument("--serve", action="store_true", help='answer "run K" lines from standard input')
    parser.add_argument("--freeze-d", action="store_true")
    parser.add_argument("--one-pass-d", action="store_true")
    args = parser.parse_args()
    if min(args.batch, args.steps, args.threads) < 1 or (args.batch < 2 and not args.sample):
        parser.error("--batch, --steps and --threads must be positive; training needs a batch of at least 2")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    work = (Sampler if args.sample else Trainer)(args)
    for _ in range(args.warmup):
        work.step()
    if not args.serve:
        print(measure(work, args, args.steps))
        return
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        if len(words) == 2 and words[0] == "run" and words[1].isdigit() and int(words[1]) > 0:
            print(measure(work, args, int(words[1])), flush=True)
        else:
            print(json.dumps({"error": 'expected "run K" or "quit"'}), flush=True)


if __name__ == "__main__":
    main()
