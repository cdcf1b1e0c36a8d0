#!/usr/bin/env python3
"""Tests of bench/run's arithmetic, tables and other programs, and of bench/compare. Nothing is timed."""
import importlib.machinery
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(ROOT, "bench", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


run = load("run")
ABOUT = {"processor": "P", "processors": 2, "system": "S", "load": 0.1, "gan": "1", "torch": None, "threads": 2,
         "instruction_set": "I", "rounds": 3, "seconds": 1, "settings": []}


class Sections(unittest.TestCase):
    """Every section that needs neither data nor PyTorch, as short as can be."""

    def test_each_measures_something(self):
        sections = [section for section in run.SECTIONS if section not in ("footprint", "eval", "colour64")]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "bench.json")
            result = subprocess.run(
                [os.path.join(ROOT, "bench", "run"), *sections, "--quick", "--no-torch", "--rounds", "1", "--seconds",
                 "0.01", "--gan", os.environ["GAN_BINARY"], "--json", path], capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(path) as file:
                measured = {figure["section"] for figure in json.load(file)["figures"]}
        self.assertLessEqual({"step", "default", "sample", "start", "scaling", "vary", "conv"}, measured)


# Stands for a Python with PyTorch; its arguments are a version and what it compiles for, then those of Python.
PYTHON = """
import json, sys
version, compiled, flag, source, *more = sys.argv[1:]
assert flag == "-c"
if not more:
    print("  - CPU capability usage: " + ("NO AVX" if version == "0.1" else "AVX2"), version, sep="\\n")
    sys.exit("no torch" if version == "none" else 0)
with open(sys.argv[0] + ".asked", "a") as file:
    print(version, *more, file=file)
assert source == open(STEP).read()
for line in sys.stdin:
    print(json.dumps({"median_ms": 4.0 if "--best" in more else 8.0, "compiled": compiled}), flush=True)
"""


class Peer(unittest.TestCase):
    """PyTorch is handed its script as text, whatever command runs it."""

    def peer(self, folder, *versions):
        python = os.path.join(folder, "python with PyTorch.py")
        with open(python, "w") as file:
            file.write(PYTHON.replace("STEP", repr(os.path.join(ROOT, "bench", "torch_step.py"))))
        path = os.path.join(folder, "bench.json")
        torches = [word for version in versions
                   for word in ("--torch", shlex.join([sys.executable, python, *version]))]
        result = subprocess.run(
            [os.path.join(ROOT, "bench", "run"), "peer", "--quick", "--rounds", "1", "--seconds", "0.01", "--gan",
             os.environ["GAN_BINARY"], "--json", path, "--torch-option=--freeze-d", *torches],
            capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(path) as file:
            measured = json.load(file)
        asked = []
        if os.path.exists(python + ".asked"):
            with open(python + ".asked") as file:
                asked = file.read().splitlines()
        return measured, result, asked

    def test_versions_stand_side_by_side(self):
        with tempfile.TemporaryDirectory() as folder:
            measured, result, asked = self.peer(folder, ["1.13.0a0", ""], ["2.6.0+debian", "avx512"])
        medians = {figure["name"]: figure["median"] for figure in measured["figures"]}
        names = "torch 1.13 f32", "torch 2.6 f32", "torch 2.6 best f32"
        self.assertEqual([medians[name] for name in names], [8, 8, 4])
        self.assertAlmostEqual(medians["ours f32 / torch 2.6 best f32"], 4 / medians["ours f32"])
        self.assertNotIn("torch 1.13 best f32", medians)
        self.assertIn("left out: torch 1.13 best f32: it compiles nothing", result.stderr)
        self.assertEqual("torch 2.6 best bf16" in medians, "ours bf16" in medians)
        self.assertIn("PyTorch 1.13.0a0 and 2.6.0+debian", result.stdout)
        self.assertIn("torch 2.6 compiling for avx512", result.stdout)
        self.assertIn("2.6.0+debian --batch 64 --precision f32 --model tutorial --freeze-d --best --threads 2 --serve "
                      "--warmup 5", asked)

    def test_what_has_no_torch_or_is_crippled_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            versions = ["none", ""], ["0.1", ""], ["2.6.0", "avx2"], ["2.6.1", "avx2"]
            measured, result, _ = self.peer(folder, *versions)
        self.assertIn("none '' has no torch", result.stderr)
        if run.platform.machine() == "x86_64":
            self.assertIn("0.1 '' is left out: PyTorch 0.1 uses no vector instructions", result.stderr)
        names = {figure["name"] for figure in measured["figures"]}
        self.assertLessEqual({"ours f32 / torch 2.6 #1 f32", "ours f32 / torch 2.6 #2 best f32"}, names)

    def test_a_step_at_best_is_the_same_step(self):
        script = os.path.join(ROOT, "bench", "torch_step.py")
        self.assertLess(os.path.getsize(script), 1 << 17)  # Linux takes no longer argument
        if importlib.util.find_spec("torch") is None:
            self.skipTest("needs PyTorch")
        done = subprocess.run([sys.executable, script, "--check", "--steps", "3", "--batch", "8"], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertLess(answer["largest_difference_of_losses"], 1e-5)
        self.assertLess(answer["difference_of_weights"], 1e-3)


# Stands for `gan` and for a Python with PyTorch: a step takes ours 1 ms, eager 8, with CUDA graphs 3, compiled 4.
GPU = """
import json, os, sys
words = sys.argv[1:]
if "GPU_TIMELINE" in os.environ:
    with open(os.environ["GPU_TIMELINE"], "w") as file:
        file.write('{"launches": 200, "nodes": 140, "median_us": 900.0, "idle": 0.0625}')
if "--eval-every" in words:
    folder = words[words.index("--out") + 1]
    os.mkdir(folder)
    with open(os.path.join(folder, "scores.jsonl"), "w") as file:
        for seconds, fd in (2, 12.5), (4, 6.5), (6, 7.5), (8, 6):
            file.write(json.dumps({"elapsed_seconds": seconds, "fd": fd}) + "\\n")
if words[0] == "-c":
    rates = {"f32": 1e13, "bf16": 1e14, "bytes": 1e12, "kernel": 1e-6}
    sys.exit(print(json.dumps(rates) if "CUDAGraph" in words[1] else "2.9.0"))
if "residual" in words and "1024" in words:
    sys.exit("out of memory")
ms = 1.0 if words[0] == "bench" else 3.0 if "--mode" in words else 4.0 if "--best" in words else 8.0
print(json.dumps({"median_ms": ms, "needed_mflop": 10, "optimizer_mbytes": 2, "kernels": 100, "precision": "bf16"}))
"""


class Gpu(unittest.TestCase):
    """bench/gpu without a GPU: what it would run, and what it makes of the answers."""

    def gpu(self, *args):
        return subprocess.run([sys.executable, os.path.join(ROOT, "bench", "gpu"), *args], capture_output=True,
                              text=True)

    def test_a_dry_call_prints_every_command(self):
        result = self.gpu("--dry")
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.splitlines()
        self.assertEqual(sum(" bench step " in line and "--device cuda" in line for line in lines), 2 * (26 + 8) + 8)
        self.assertEqual(sum("--mode reduce-overhead" in line for line in lines), 26)
        self.assertEqual(sum("GAN_TEST_DEVICE=cuda" in line for line in lines), min(8, os.cpu_count()) + 2)
        # The program and PyTorch's script take the options that they are given.
        step = next(line for line in lines if " bench step conv --batch 64 --precision f32" in line)
        refused = subprocess.run([os.environ["GAN_BINARY"], *shlex.split(step)[1:]], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("--device cuda: ", refused.stderr)

    def test_the_table_comes_last_and_names_the_best_of_pytorch(self):
        with tempfile.TemporaryDirectory() as folder:
            fake = os.path.join(folder, "gan")
            with open(fake, "w") as file:
                file.write("#!" + sys.executable + GPU)
            os.chmod(fake, 0o755)
            os.mkdir(os.path.join(folder, "bench"))
            open(os.path.join(folder, "bench", "libgpu_timeline.so"), "w").close()
            path = os.path.join(folder, "gpu.json")
            result = self.gpu("--build", folder, "--no-tests", "--torch", fake, "--json", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(path) as file:
                written = json.load(file)
        rows = [line for line in result.stdout.splitlines() if line.startswith("|")]
        self.assertEqual(result.stdout.splitlines()[-1], rows[-1])
        self.assertIn("| tutorial-lsgan 64 bf16 | 1.0000 | 1.0000 | 0.1000 | 0.0625 | 8.0000 | 3.0000 | 4.0000 | 1.0000 | "
                      "8.0000 | 4.0000 | 3.00 |", rows)
        self.assertIn("| conv-64x64x3 128 f32 | 1.0000 |  | 0.1000 |  | 8.0000 | 3.0000 | 4.0000 |  |  |  | 3.00 |", rows)
        self.assertEqual(written["quality"]["median_ms"], 8)
        self.assertEqual(written["quality"]["seconds_to_wanted_fd"], 4)
        self.assertIn("failed: ours residual 1024 f32: exit code 1: out of memory", result.stdout)
        self.assertEqual(len(written["figures"]), 4 * 24 + 8 + 4 + 12)
        self.assertEqual(written["about"]["PyTorch"], "2.9.0")
        self.assertEqual(written["timeline"]["conv 64 f32"]["nodes"], 140)

    def test_what_there_is_no_time_for_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            result = self.gpu("--build", folder, "--minutes", "0.1", "--json", os.path.join(folder, "gpu.json"))
        self.assertIn("left out, no time: PyTorch, tests, bits, ours tutorial-lsgan 64 f32, ", result.stdout)
        self.assertIn("tests on the GPU: not run", result.stdout)


class Turns(unittest.TestCase):
    class Counter:
        log = []

        def __init__(self, name):
            self.name = name

        def measure(self):
            self.log.append(self.name)
            return len(self.log)

        def stop(self):
            self.log.append(f"{self.name} stopped")

    def test_the_first_moves_on_and_what_cannot_start_is_left_out(self):
        def broken():
            raise RuntimeError("broken")
        self.Counter.log.clear()
        figures, _ = run.take_turns("t", [lambda: self.Counter("a"), broken, lambda: self.Counter("b")], 3)
        self.assertEqual(self.Counter.log, ["a", "b", "b", "a", "a", "b", "a stopped", "b stopped"])
        self.assertEqual(figures, {"a": [1, 4, 5], "b": [2, 3, 6]})

    def test_a_server_answers_and_its_error_is_told(self):
        script = "import sys\nfor line in sys.stdin: print('{\"median_ms\": ' + line.split()[1] + '}', flush=True)"
        server = run.Server("s", [sys.executable, "-c", script], 0.04)
        self.assertEqual(server.steps, 10)  # 4 steps took 4 ms each
        self.assertEqual(server.measure(), 10)
        server.stop()
        with self.assertRaisesRegex(RuntimeError, "s: wrong"):
            run.Server("s", [sys.executable, "-c", "print('{\"error\": \"wrong\"}')"], 1)
        with self.assertRaisesRegex(RuntimeError, "s: ended with code 3"):
            run.Server("s", [sys.executable, "-c", "import sys; sys.exit(3)"], 1)


class Tables(unittest.TestCase):
    def report(self):
        report = run.Report()
        figures = {"ours bf16": [10.0, 20.0, 30.0], "torch f32": [40.0, 60.0, 180.0]}
        for name, rounds in figures.items():
            report.add("step", name, "batch 64", "ms", rounds)
        report.add_ratios("step", "batch 64", figures, [("ours bf16", "torch f32"), ("ours bf16", "none")])
        report.add("step", "floor / ours bf16", "batch 256", "share", [0.5])
        return report

    def test_ratios_are_medians_within_rounds(self):
        ratio = self.report().figures[2]
        self.assertEqual(ratio["name"], "ours bf16 / torch f32")
        self.assertEqual((ratio["median"], ratio["low"], ratio["high"], ratio["target"]), (4, 3, 6, 5.5))

    def test_markdown(self):
        self.assertEqual(list(run.markdown(self.report().figures, "step")), [
            "| step | unit | batch 64 | batch 256 |",
            "|---|---|--:|--:|",
            "| ours bf16 | ms | 20.00 (10.00-30.00) |  |",
            "| torch f32 | ms | 60.00 (40.00-180.00) |  |",
            "| ours bf16 / torch f32 |  | 4.00x (3.00-6.00), target 5.5 |  |",
            "| floor / ours bf16 |  |  | 50%, target 85% |"])

    def test_nothing_measured_is_said(self):
        self.assertEqual(list(run.markdown(self.report().figures, "eval")), ["Not measured."])

    def test_the_page_has_a_place_for_every_section_and_keeps_the_rest(self):
        for name in ("performance.md", "performance-epyc.md", "performance-without-amx.md"):
            self.check_page(os.path.join(ROOT, "docs", name))

    def check_page(self, original):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "page.md")
            shutil.copy(original, page)
            run.write_tables(page, ABOUT, [], [name for name in run.SECTIONS if name != "step"])
            with open(page) as file:
                before = file.read()
            for _ in range(2):
                run.write_tables(page, ABOUT, self.report().figures, ["step"])
            with open(page) as file:
                after = file.read()
            self.assertIn("| floor / ours bf16 |  |  | 50%, target 85% |\n<!-- /bench:step -->", after)
            self.assertEqual(after.count("| torch f32 | ms |"), 1)
            self.assertEqual(before.split("<!-- /bench:step -->")[1], after.split("<!-- /bench:step -->")[1])
            with self.assertRaises(SystemExit):
                run.write_tables(page, ABOUT, [], ["nothing"])

    def test_targets_are_of_sections(self):
        self.assertLessEqual({section for section, _ in run.TARGETS}, set(run.SECTIONS))
        for section in run.SECTIONS:
            self.assertTrue(callable(getattr(run.Bench, section)))


class Compare(unittest.TestCase):
    def compare(self, *texts):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, f"{i}.json") for i in range(len(texts))]
            for path, text in zip(paths, texts):
                with open(path, "w") as file:
                    file.write(text)
            return subprocess.run([sys.executable, os.path.join(ROOT, "bench", "compare"), *paths],
                                  capture_output=True, text=True)

    @staticmethod
    def result(figures, **about):
        report = run.Report()
        for name, rounds in figures.items():
            report.add("step", name, "batch 64", "ms", rounds)
        return json.dumps({"about": {**ABOUT, **about}, "figures": report.figures})

    def test_shows_ratios_and_what_only_one_has(self):
        done = self.compare(self.result({"a": [10, 11, 12], "b": [4, 5, 6], "old": [1]}),
                            self.result({"a": [5, 5.5, 6], "b": [5, 6, 7], "new": [1]}, gan="2"))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "gan: 1 and 2")
        self.assertIn("| step | a | batch 64 | ms | 11 | 5.5 | 0.500 |", lines)
        self.assertIn("| step | b | batch 64 | ms | 5 | 6 | 1.200 ~ |", lines)
        self.assertTrue(lines[-2].endswith("0.json: step, old, batch 64"), lines)
        self.assertTrue(lines[-1].endswith("1.json: step, new, batch 64"), lines)

    def test_refuses_other_files(self):
        for text in "", "[]", "{}", '{"about": {}, "figures": [{}]}':
            done = self.compare(self.result({"a": [1]}), text)
            self.assertEqual(done.returncode, 1, text)
            self.assertIn("1.json is no result of bench/run", done.stderr)
        done = self.compare(self.result({"a": [1]}))
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
