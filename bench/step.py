#!/usr/bin/env python3
"""Compares this project's training step with PyTorch's and with the machine's floor.

    cmake --preset bench && cmake --build --preset bench
    python3 bench/step.py                              the tutorial's networks at batch 64, 256 and 1024
    python3 bench/step.py --model default --rounds 11 --json step.json

For each batch size up to four programs are started: ours and PyTorch (torch_step.py), each in f32 and in bf16. They
wait for orders and take turns, one computing at a time, in an order that moves on by one every round, so that a
machine that slows down or speeds up treats all alike. A round of each is about a second of steps, of which it reports
the median. The tables have the medians over the rounds, and their spread; a ratio is the median of the ratios within
the rounds. Nothing else may run meanwhile: one busy process more makes every figure here meaningless.

The floor is what the step costs if nothing but the arithmetic that it needs and the memory that the optimizer moves
took time: 25.9 MFLOP an image at the best matmul rate, and 90 MB at the median bandwidth of a vectorized sweep, both
measured (step_bench --floor) in every round as well. It is known for the tutorial's networks only.

Needs Python 3; PyTorch (Debian: python3-torch) for the comparison, which is left out without it.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PRESETS = {"tutorial": "tutorial-lsgan", "default": "lsgan-r1r2"}
FLOOR_FLOP_PER_IMAGE = 25.9e6  # without dead gradients, with a shared forward and a shared backward pass through D
FLOOR_BYTES = 90e6             # Adam on 3.04 million parameters: 4 arrays read, 3 written
RATIOS = [("ours bf16", "torch f32"), ("ours bf16", "torch bf16"), ("ours f32", "torch f32")]


class Server:
    """A program that answers each line "run K" with a line of JSON about K steps."""

    def __init__(self, name, command):
        self.name, self.steps = name, 1
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, steps):
        try:
            print("run", steps, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.name} ended with code {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer

    def calibrate(self, seconds):
        """Waits until the program is warm, then chooses how many steps make a round."""
        self.run(3)
        self.steps = max(5, round(1e3 * seconds / self.run(5)["median_ms"]))

    def stop(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def note(text):
    print(text, file=sys.stderr, flush=True)


def commands(args, batch, with_torch):
    common = ["--batch", str(batch), "--threads", str(args.threads), "--serve"]
    ours = [args.step_bench, "--preset", PRESETS[args.model]]
    for setting in args.set:
        ours += ["--set", setting]
    torch = [args.python, os.path.join(HERE, "torch_step.py"), "--model", args.model] + args.torch_option
    for precision in "f32", "bf16":
        yield f"ours {precision}", ours + ["--precision", precision] + common
        if with_torch:
            yield f"torch {precision}", torch + ["--precision", precision] + common


def start(args, batch, with_torch):
    """Starts the programs one by one, each calibrated before the next one starts. One that fails is left out."""
    servers = []
    for name, command in commands(args, batch, with_torch):
        server = Server(name, command)
        try:
            server.calibrate(args.seconds)
            servers.append(server)
        except RuntimeError as error:
            note(f"left out: {error}")
            server.stop()
    return servers


def measure_floor(args, batch):
    command = [args.step_bench, "--floor", "--batch", str(batch), "--threads", str(args.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def floor_ms(floor, batch):
    return 1e3 * (FLOOR_FLOP_PER_IMAGE * batch / (floor["matmul_gflops_bf16"] * 1e9)
                  + FLOOR_BYTES / (floor["sweep_gbytes_per_s"] * 1e9))


def measure(args, batch, with_torch):
    servers = start(args, batch, with_torch)
    if not servers:
        sys.exit("no program could be started")
    answers, floors = {server.name: [] for server in servers}, []
    try:
        for number in range(args.rounds):
            note(f"batch {batch}: round {number + 1} of {args.rounds}")
            first = number % len(servers)
            for server in servers[first:] + servers[:first]:
                answers[server.name].append(server.run(server.steps))
                time.sleep(0.05)  # threads that spin for more work go to sleep
            floors.append(measure_floor(args, batch))
    finally:
        for server in servers:
            server.stop()
    return summary(args, batch, answers, floors)


def summary(args, batch, answers, floors):
    medians = {name: [answer["median_ms"] for answer in rounds] for name, rounds in answers.items()}
    programs = {name: {"median_ms": statistics.median(of), "low_ms": min(of), "high_ms": max(of),
                       "min_ms": min(answer["min_ms"] for answer in answers[name]),
                       "images_per_s": 1e3 * batch / statistics.median(of), "rounds": answers[name]}
                for name, of in medians.items()}
    ratios = {f"{ours} / {other}": statistics.median(b / a for a, b in zip(medians[ours], medians[other]))
              for ours, other in RATIOS if ours in medians and other in medians}
    result = {"batch": batch, "programs": programs, "speedups": ratios,
              "floor": {key: statistics.median(floor[key] for floor in floors)
                        for key in floors[0] if key.endswith("_per_s") or key.startswith("matmul_gflops")}}
    if args.model == "tutorial" and "ours bf16" in medians:
        of_rounds = [floor_ms(floor, batch) for floor in floors]
        result["floor"]["ms"] = statistics.median(of_rounds)
        result["floor"]["share"] = statistics.median(f / m for f, m in zip(of_rounds, medians["ours bf16"]))
    return result


def machine():
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"processor": name, "processors": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}


def first_answer(results, start_of_name):
    for result in results:
        for name, program in result["programs"].items():
            if name.startswith(start_of_name):
                return program["rounds"][0]
    return {}


def markdown(args, results):
    ours, torch = first_answer(results, "ours"), first_answer(results, "torch")
    about = machine()
    yield (f"Training step, model {args.model} (preset {PRESETS[args.model]}), {args.threads} threads, "
           f"{args.rounds} rounds")
    yield ""
    yield (f"{about['processor']}, {about['processors']} processors, {about['system']}; "
           f"oneDNN {ours.get('instruction_set', '?')}; gan {ours.get('version', '?')}, "
           f"PyTorch {torch.get('torch', 'not measured')}")
    yield ""
    yield "| batch | program | median ms | spread of rounds, ms | best step, ms | images/s |"
    yield "|--:|---|--:|--:|--:|--:|"
    for result in results:
        for name, of in result["programs"].items():
            yield (f"| {result['batch']} | {name} | {of['median_ms']:.2f} | {of['low_ms']:.2f}-{of['high_ms']:.2f} | "
                   f"{of['min_ms']:.2f} | {of['images_per_s']:,.0f} |")
        if "ms" in result["floor"]:
            ms = result["floor"]["ms"]
            yield f"| {result['batch']} | floor, bf16 | {ms:.2f} | | | {1e3 * result['batch'] / ms:,.0f} |"
    yield ""
    yield "| | " + " | ".join(f"batch {result['batch']}" for result in results) + " |"
    yield "|---|" + "--:|" * len(results)
    for ours_name, other in RATIOS:
        cells = [result["speedups"].get(f"{ours_name} / {other}") for result in results]
        if any(cells):
            yield f"| {ours_name} against {other} | " + " | ".join(f"{c:.2f}x" if c else "-" for c in cells) + " |"
    rows = [("floor / measured (bf16)", "share", 2), ("best matmul, bf16, GFLOP/s", "matmul_gflops_bf16", 0),
            ("best matmul, f32, GFLOP/s", "matmul_gflops_f32", 0), ("sweep, GB/s", "sweep_gbytes_per_s", 1),
            ("sweep, the best, GB/s", "best_sweep_gbytes_per_s", 1), ("Adam alone, GB/s", "adam_gbytes_per_s", 1)]
    for title, key, digits in rows:
        cells = [result["floor"].get(key) for result in results]
        if any(cells):
            yield f"| {title} | " + " | ".join("-" if c is None else f"{c:.{digits}f}" for c in cells) + " |"


def has_torch(args):
    try:
        return subprocess.run([args.python, "-c", "import torch"], capture_output=True).returncode == 0
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=PRESETS, default="tutorial")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024], metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="R")
    parser.add_argument("--seconds", type=float, default=1.0, help="of steps in a round of each program (1)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="also write every figure of every round")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for ours, such as train.ema=0")
    parser.add_argument("--torch-option", action="append", default=[], metavar="--OPTION",
                        help="for torch_step.py, such as --torch-option=--freeze-d")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--step-bench", default=os.path.join(HERE, "..", "build", "bench", "bench", "step_bench"),
                        metavar="FILE", help="the program step_bench (that of the preset bench)")
    parser.add_argument("--python", default="/usr/bin/python3", metavar="FILE", help="the Python that has PyTorch")
    args = parser.parse_args()
    if min(args.batches + [args.rounds, args.threads]) < 1:
        parser.error("--batches, --rounds and --threads must be positive")
    if not os.path.exists(args.step_bench):
        parser.error(f"{args.step_bench} is missing: cmake --preset bench && cmake --build --preset bench")
    with_torch = not args.no_torch and has_torch(args)
    if not with_torch and not args.no_torch:
        note(f"{args.python} has no torch (Debian: python3-torch): PyTorch is left out")
    results = [measure(args, batch, with_torch) for batch in args.batches]
    print("\n".join(markdown(args, results)))
    if args.json:
        report = {"model": args.model, "threads": args.threads, "machine": machine(), "results": results}
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
