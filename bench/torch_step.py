#!/usr/bin/env python3
"""Times PyTorch on the training step or the sampler of this project's networks.

    python3 bench/torch_step.py --batch 64 --steps 200
    python3 bench/torch_step.py --batch 64 --precision bf16 --model default
    python3 bench/torch_step.py --batch 1 --sample
    python3 bench/torch_step.py --batch 64 --serve       reads "run K" lines, answers each with a line
    python3 bench/torch_step.py --batch 64 --precision bf16 --best
    python3 bench/torch_step.py --batch 64 --check --steps 5     is a step at --best the same step?
    python3 bench/torch_step.py --batch 64 --device cuda --best --mode reduce-overhead

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
                     96-(176, 7, 7) for 28x28, transposed convolutions to (64, 14, 14) and (1, 28, 28), batch
                     norm; discriminator: convolutions to (32, 14, 14) and (64, 7, 7), with the
                     label's embedding 3168-256-1
  --model residual   the preset residual: blocks of 1x1, grouped 3x3 and 1x1 convolutions with LeakyReLU(0.2), two in
                     each stage; G 64, 32, 16 channels at 7x7, 14x14, 28x28, D the reverse with a projection;
                     relativistic loss, R1 and R2 with gamma 0.1; the rest as in default

--side and --channels give --model conv other images than MNIST's, --widths other channels: G's two and D's two.

The step is written the way PyTorch users write it: the generator is updated first,
through the discriminator; then the discriminator, on real rows and fake.detach().
--freeze-d keeps the generator's backward pass from filling D's weight gradients
(most code does not; it saves time). --one-pass-d puts real and fake rows through D as
one batch. Images wait in memory as float32: no data loader is timed.

--best is PyTorch at its best: torch.compile of both losses, forward and backward, penalties included (of the generator
with --sample), and fused Adam. What is missing is said and left out; "compiled" of the answer names the vector
instructions that torch.compile found, or is null.

--device cuda computes on a GPU: f32 without TF32, as ours is; steps are given to it in blocks, and the clock stops when
it is done, as a run does that does not read its losses at each step. --mode is torch.compile's; reduce-overhead and
max-autotune capture CUDA graphs.

Needs Python 3 with torch (Debian: python3-torch); --best needs PyTorch 2 and a C++ compiler (docs/performance.md,
"Today's PyTorch").
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
CONV_WIDTHS = [176, 64, 32, 64]  # channels of --model conv: G's two, D's two
TOGETHER = 20  # rounds that a GPU is given before the clock is read, as `gan bench step --device cuda` does


def note(text):
    print(f"torch_step.py: {text}", file=sys.stderr, flush=True)


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
        channels, side, (first, second) = IMAGE[0], IMAGE[1] // 4, CONV_WIDTHS[:2]
        return [nn.Linear(LATENT + EMBEDDING, first * side * side), nn.Unflatten(1, (first, side, side)),
                nn.BatchNorm2d(first), leaky(), nn.ConvTranspose2d(first, second, 4, 2, 1), nn.BatchNorm2d(second),
                leaky(), nn.ConvTranspose2d(second, channels, 4, 2, 1)]
    *hidden, last = linears([LATENT + EMBEDDING, 256, 512, 1024, PIXELS])
    layers = []
    for linear in hidden:
        layers += [linear, nn.BatchNorm1d(linear.out_features), leaky()]
    return layers + [last]


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(width, 2 * width, 1), leaky(),
                                   nn.Conv2d(2 * width, 2 * width, 3, 1, 1, groups=width // 8), leaky(),
                                   nn.Conv2d(2 * width, width, 1, bias=False))

    def forward(self, x):
        return x + self.model(x)


def stages(widths, resize, resize_first):
    """Two blocks for each width; `resize` stands before or behind the change of channels."""
    layers = [Block(widths[0]), Block(widths[0])]
    for before, width in zip(widths, widths[1:]):
        change = nn.Conv2d(before, width, 1, bias=False)
        layers += [resize, change] if resize_first else [change, resize]
        layers += [Block(width), Block(width)]
    return layers


class ResidualGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, EMBEDDING)
        self.first, self.basis = nn.Linear(LATENT + EMBEDDING, 64), nn.Parameter(torch.randn(64, 7, 7))
        self.model = nn.Sequential(*stages([64, 32, 16], nn.Upsample(scale_factor=2), False), nn.Conv2d(16, 1, 1),
                                   nn.Tanh())

    def forward(self, z, labels):
        return self.model(self.first(torch.cat([z, self.embedding(labels)], dim=-1))[:, :, None, None] * self.basis)


class ResidualDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 64)
        self.model = nn.Sequential(nn.Conv2d(1, 16, 1), *stages([16, 32, 64], nn.AvgPool2d(2), True),
                                   nn.Conv2d(64, 64, 7, groups=64, bias=False), nn.Flatten(), nn.Linear(64, 64), leaky())
        self.last = nn.Linear(64, 1)

    def forward(self, images, labels):
        features = self.model(images)
        return self.last(features) + (features * self.embedding(labels)).sum(1, keepdim=True)


def make_generator(model):
    return ResidualGenerator() if model == "residual" else Generator(model)


def make_discriminator(model):
    return ResidualDiscriminator() if model == "residual" else Discriminator(model)


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
            channels, area, (first, second) = IMAGE[0], IMAGE[1] // 4 * (IMAGE[2] // 4), CONV_WIDTHS[2:]
            self.features = nn.Sequential(nn.Conv2d(channels, first, 4, 2, 1), leaky(),
                                          nn.Conv2d(first, second, 4, 2, 1), leaky(), nn.Flatten())
            layers = [nn.Linear(second * area + EMBEDDING, 256), leaky(), nn.Linear(256, 1)]
        else:
            layers = []
            for linear in linears([PIXELS + EMBEDDING, 1024, 512, 256, 128, 64, 1]):
                layers += [linear, nn.ReLU(inplace=True) if model == "tutorial" else leaky()]
            layers = layers[:-1] + ([nn.Sigmoid()] if model == "tutorial" else [])
        self.model = nn.Sequential(*layers)

    def forward(self, images, labels):
        return self.model(torch.cat([self.features(images), self.embedding(labels)], dim=-1))


def vectors_of_compiler(device):
    """The vector instructions that torch.compile uses, or the GPU; nothing where it does not work."""
    version = f"PyTorch {torch.__version__}"
    if not hasattr(torch, "compile"):
        note(f"{version} has no torch.compile: nothing is compiled")
        return None
    if device != "cpu":
        return torch.cuda.get_device_name()
    try:
        torch.compile(lambda x: x.exp().sum())(torch.zeros(100, requires_grad=True)).backward()
        from torch._inductor.cpu_vec_isa import pick_vec_isa
    except Exception as error:  # whatever it is that the compiler lacks
        note(f"torch.compile of {version} does not work, nothing is compiled: {str(error).strip()}")
        return None
    if pick_vec_isa():
        return str(pick_vec_isa())
    note(f"torch.compile of {version} finds no vector instructions and is slow (Debian: libsleef-dev, and "
         "LD_PRELOAD=libsleef.so.3)")
    return "no vector instructions"


def adam(network, fused, **options):
    if fused:
        try:
            return torch.optim.Adam(network.parameters(), fused=True, **options)
        except RuntimeError as error:
            note(f"Adam is not fused: {error}")
    return torch.optim.Adam(network.parameters(), **options)


def compiled(args, function):
    return torch.compile(function, fullgraph=True, dynamic=False, mode=args.mode)


def begin_step(args):
    """CUDA graphs write their results into the same memory at each step."""
    if args.best and args.mode:
        torch.compiler.cudagraph_mark_step_begin()


class Trainer:
    def __init__(self, args):
        self.args = args
        self.g, self.d = make_generator(args.model).to(args.device), make_discriminator(args.model).to(args.device)
        options = {"lr": 2e-4 if args.model == "default" else 3e-4,
                   "betas": (0.9, 0.999) if args.model == "tutorial" else (0.0, 0.99)}
        self.g_optim, self.d_optim = adam(self.g, args.best, **options), adam(self.d, args.best, **options)
        self.period = 1 if args.model == "tutorial" else PENALTY_EVERY
        self.average = make_generator(args.model).to(args.device)
        self.average.load_state_dict(self.g.state_dict())
        self.images = (torch.rand(4 * args.batch, *IMAGE) * 2 - 1).to(args.device)
        self.labels = torch.randint(0, CLASSES, [4 * args.batch]).to(args.device)
        self.mse = nn.MSELoss()
        self.count = 0
        self.compiled = vectors_of_compiler(args.device) if args.best else None
        if self.compiled:
            self.g_loss, self.d_loss = compiled(args, self.g_loss), compiled(args, self.d_loss)

    def autocast(self):
        return torch.autocast(self.args.device, torch.bfloat16, enabled=self.args.precision == "bf16")

    def judge(self, real, fake, labels):
        with self.autocast():
            if self.args.one_pass_d:
                on_real, on_fake = self.d(torch.cat([real, fake]), torch.cat([labels, labels])).chunk(2)
            else:
                on_real, on_fake = self.d(real, labels), self.d(fake, labels)
        return on_real.float(), on_fake.float()

    def judge_with_gradients(self, real, fake, labels):
        """D's outputs, and the gradients of their sums by the images."""
        if self.compiled:  # torch.compile has no autograd.grad
            def judge(real, fake):
                outputs = self.judge(real, fake, labels)
                return outputs[0].sum() + outputs[1].sum(), outputs
            gradients, outputs = torch.func.grad(judge, argnums=(0, 1), has_aux=True)(real, fake)
            return outputs, gradients
        real.requires_grad_()
        fake.requires_grad_()
        outputs = self.judge(real, fake, labels)
        return outputs, torch.autograd.grad(outputs[0].sum() + outputs[1].sum(), [real, fake], create_graph=True)

    def g_loss(self, z, real, labels):
        with self.autocast():
            fake = self.g(z, labels)
            on_fake = self.d(fake, labels).float()
            on_real = self.d(real, labels).float() if self.args.model == "residual" else None
        if self.args.model == "residual":
            return nn.functional.softplus(on_real - on_fake).mean(), fake
        if self.args.model == "tutorial":
            return self.mse(on_fake, torch.ones_like(on_fake)), fake
        return 0.5 * (on_fake - 1).square().mean(), fake

    def d_loss(self, real, fake, labels, penalized):
        if self.args.model == "tutorial":
            on_real, on_fake = self.judge(real, fake, labels)
            return self.mse(on_real, torch.ones_like(on_real)) + self.mse(on_fake, torch.zeros_like(on_fake))
        if not penalized:
            return self.d_loss_of(*self.judge(real, fake.float(), labels))
        (on_real, on_fake), (r1, r2) = self.judge_with_gradients(real, fake.float(), labels)
        squares = r1.flatten(1).square().sum(1).mean() + r2.flatten(1).square().sum(1).mean()
        gamma = 0.1 if self.args.model == "residual" else GAMMA
        return self.d_loss_of(on_real, on_fake) + PENALTY_EVERY * gamma / 2 * squares

    def d_loss_of(self, on_real, on_fake):
        if self.args.model == "residual":
            return nn.functional.softplus(on_fake - on_real).mean()
        return 0.5 * (on_real - 1).square().mean() + 0.5 * on_fake.square().mean()

    def step(self):
        """Returns both losses."""
        batch = self.args.batch
        first = self.count % 4 * batch
        penalized = self.count % self.period == 0
        self.count += 1
        real, labels = self.images[first:first + batch], self.labels[first:first + batch]
        begin_step(self.args)

        self.g_optim.zero_grad()
        self.freeze_d(True)
        g_loss, fake = self.g_loss(torch.randn(batch, LATENT, device=self.args.device), real, labels)
        g_loss.backward()
        self.g_optim.step()
        self.freeze_d(False)
        if self.args.model != "tutorial":
            with torch.no_grad():
                for average, value in zip(self.average.parameters(), self.g.parameters()):
                    average.lerp_(value, 0.001)

        self.d_optim.zero_grad()
        fake = fake.detach().clone() if self.args.mode else fake.detach()
        d_loss = self.d_loss(real.detach(), fake, labels, penalized)
        d_loss.backward()
        self.d_optim.step()
        return g_loss, d_loss

    def freeze_d(self, frozen):
        if self.args.freeze_d:
            self.d.requires_grad_(not frozen)


class Sampler:
    def __init__(self, args):
        self.args = args
        self.g = make_generator(args.model).eval().to(args.device)
        self.labels = (torch.arange(args.batch) % CLASSES).to(args.device)
        self.period = 1
        self.compiled = vectors_of_compiler(args.device) if args.best else None
        if self.compiled:
            self.g = compiled(args, self.g)

    @torch.no_grad()
    def step(self):
        begin_step(self.args)
        with torch.autocast(self.args.device, torch.bfloat16, enabled=self.args.precision == "bf16"):
            self.g(torch.randn(self.args.batch, LATENT, device=self.args.device), self.labels)


def measure(work, args, steps):
    times, rounds = [], -(-steps // work.period)
    together = work.period if args.device == "cpu" else TOGETHER * work.period
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(together):
            work.step()
        if args.device != "cpu":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / together)
    median = statistics.median(times)
    return json.dumps({"median_ms": round(1e3 * median, 4), "min_ms": round(1e3 * min(times), 4),
                       "images_per_s": round(args.batch / median, 1), "steps": rounds * work.period, "batch": args.batch,
                       "model": args.model, "mode": "sample" if args.sample else "train",
                       "precision": args.precision, "threads": args.threads, "torch": torch.__version__,
                       "best": args.best, "compiled": work.compiled, "device": args.device, "compile": args.mode})


def check(args):
    """How far some steps at --best are from the same steps eager: losses, and weights in parts of the way they went."""
    losses, weights = [], []
    for best in False, True:
        torch.manual_seed(0)
        work = Trainer(argparse.Namespace(**{**vars(args), "best": best}))
        start = nn.utils.parameters_to_vector([*work.g.parameters(), *work.d.parameters()]).detach()
        losses.append(torch.tensor([work.step() for _ in range(args.steps)]))
        weights.append(nn.utils.parameters_to_vector([*work.g.parameters(), *work.d.parameters()]).detach())
    return json.dumps({"losses": losses[0][-1].tolist(), "losses_at_best": losses[1][-1].tolist(),
                       "largest_difference_of_losses": (losses[1] - losses[0]).abs().max().item(),
                       "difference_of_weights": ((weights[1] - weights[0]).norm() / (weights[0] - start).norm()).item(),
                       "steps": args.steps, "compiled": work.compiled, "torch": torch.__version__})


def main():
    parser = argparse.ArgumentParser(prog="torch_step.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["tutorial", "default", "conv", "residual"], default="tutorial")
    parser.add_argument("--side", type=int, default=28, metavar="N")
    parser.add_argument("--channels", type=int, default=1, metavar="C")
    parser.add_argument("--widths", type=int, nargs=4, metavar="W", help="channels of --model conv (176 64 32 64)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32",
                        help="f32, or bf16 autocast with f32 weights")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--mode", choices=["reduce-overhead", "max-autotune"], help="of torch.compile, with --best")
    parser.add_argument("--best", action="store_true", help="compiled, with fused Adam, where PyTorch has them")
    parser.add_argument("--check", action="store_true", help="hold --steps steps at --best against eager ones instead")
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
    if args.mode and not args.best:
        parser.error("--mode needs --best")
    if args.model == "conv" and args.side >= 4 and args.side % 4 == 0 and args.channels > 0:
        global IMAGE, CONV_WIDTHS
        IMAGE, CONV_WIDTHS = (args.channels, args.side, args.side), args.widths or CONV_WIDTHS
    elif (args.side, args.channels, args.widths) != (28, 1, None):
        parser.error("--side, a multiple of 4, --channels and --widths are for --model conv")
    torch.set_num_threads(args.threads)
    if args.device == "cuda":
        if not torch.cuda.is_available():
            sys.exit(f"torch_step.py: PyTorch {torch.__version__} finds no GPU")
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if args.check:
        print(check(args))
        return
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
