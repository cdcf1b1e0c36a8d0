#!/usr/bin/env python3
"""Installs into a temporary folder and builds the examples from there: what they draw is what the program draws."""
import array
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CMAKE, BUILD = os.environ["CMAKE"], os.environ["GAN_BUILD"]


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def npy(path):
    """The shape and the values of an array of floats."""
    data = path.read_bytes()
    end = 10 + struct.unpack("<H", data[8:10])[0]
    shape = [int(n) for n in re.search(rb"'shape': \(([^)]*)\)", data[:end]).group(1).split(b",") if n.strip()]
    return shape, array.array("f", data[end:])


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="gan-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = cls.folder / "prefix"
        run(CMAKE, "--install", BUILD, "--prefix", cls.prefix)
        cls.gan = cls.prefix / "bin" / "gan"
        (cls.library,) = cls.prefix.rglob("libgan.so.0.1")
        cls.environment = os.environ | {
            "LD_LIBRARY_PATH": f"{cls.library.parent}:{os.environ.get('LD_LIBRARY_PATH', '')}",
            "PKG_CONFIG_PATH": str(cls.library.parent / "pkgconfig"),
            "CMAKE_PREFIX_PATH": str(cls.prefix),
            "LIBRARY_PATH": os.environ["GAN_LIBRARY_PATH"],  # of oneDNN, for the static library
            "OMP_WAIT_POLICY": "passive"}
        cls.model = cls.folder / "run"
        run(cls.gan, "train", "--data", "shapes:64:16", "--out", cls.model, "--steps", "2", "--set", "train.batch=16")
        run(cls.gan, "sample", cls.model, "--per-class", "8", "--same-latents", "--out", cls.folder / "x.npy")
        shape, values = npy(cls.folder / "x.npy")
        cls.category = 3
        cls.shape = shape[1:]
        cls.elements = shape[1] * shape[2] * shape[3]
        cls.expected = values[cls.category * 8 * cls.elements:][:8 * cls.elements]

    def build(self, name, source, *settings):
        """Builds an example by CMake, which finds the installed package; returns the program."""
        folder = self.folder / "build" / name
        run(CMAKE, "-S", source, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *settings, env=self.environment)
        run(CMAKE, "--build", folder, env=self.environment)
        return folder / name

    def draws(self, *command):
        """Runs an example and compares its picture with the program's samples, of which a pixel is a rounding."""
        picture = self.folder / "picture.ppm"
        run(*command, self.model, picture, self.category, env=self.environment)
        channels, height, width = self.shape
        data = picture.read_bytes()
        picture.unlink()
        header = b"P6\n%d %d\n255\n" % (width, 8 * height)
        self.assertEqual((channels, data[:len(header)]), (3, header))
        pixels = data[len(header):]
        self.assertEqual(len(pixels), len(self.expected))
        pixel = 0
        for sample in range(8):
            for place in range(height * width):
                for channel in range(channels):
                    value = self.expected[(sample * channels + channel) * height * width + place]
                    self.assertAlmostEqual(pixels[pixel] / 127.5 - 1, value, delta=0.5 / 127.5 + 1e-5)
                    pixel += 1

    def test_example_in_cpp(self):
        self.draws(self.build("embed_cpp", ROOT / "examples/embed_cpp"))

    def test_example_in_c(self):
        self.draws(self.build("embed_c", ROOT / "examples/embed_c"))

    def test_example_with_threads(self):
        self.draws(self.build("threads", ROOT / "examples/threads"))

    def test_pkg_config(self):
        flags = run("pkg-config", "--cflags", "--libs", "gan", env=self.environment).split()
        run("cc", ROOT / "examples/embed_c/main.c", "-o", self.folder / "by_pkg_config", *flags, env=self.environment)
        self.draws(self.folder / "by_pkg_config")

    def test_static_library(self):
        source = self.folder / "static"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(static CXX)\nfind_package(gan 0.1 REQUIRED)\n"
            f"add_executable(static {ROOT}/examples/embed_cpp/main.cpp)\n"
            "target_link_libraries(static PRIVATE gan::gan_static)\n")
        program = self.build("static", source)
        self.assertNotIn("libgan", run("readelf", "-d", program))
        self.draws(program)

    def test_example_in_python(self):
        example = ROOT / "examples/python_ctypes/draw.py"
        self.draws(sys.executable, example)
        keep = ("import runpy, sys; sys.argv = sys.argv[1:];"
                "open(sys.argv[2] + '.raw', 'wb').write(bytes(runpy.run_path(sys.argv[0])['samples']))")
        picture = self.folder / "python.ppm"
        run(sys.executable, "-c", keep, example, self.model, picture, self.category, env=self.environment)
        samples = array.array("f", (self.folder / "python.ppm.raw").read_bytes())
        self.assertEqual(len(samples), len(self.expected))
        for sample, expected in zip(samples, self.expected):
            self.assertAlmostEqual(sample, expected, delta=1e-5)

    def test_the_library_exports_its_interface_alone(self):
        header = (ROOT / "include/gan/gan.h").read_text()
        declared = set(re.findall(r"^GAN_API .*?(gan_\w+)\(", header, re.MULTILINE))
        symbols = run("nm", "--dynamic", "--defined-only", self.library).splitlines()
        self.assertEqual({line.split()[-1] for line in symbols}, declared)
        dynamic = run("readelf", "-d", self.library)
        self.assertIn("soname: [libgan.so.0.1]", dynamic)
        needed = set(re.findall(r"NEEDED.*\[(\w+)", dynamic)) - {"ld"}
        self.assertLessEqual(needed, {"libdnnl", "libgomp", "libstdc", "libm", "libgcc_s", "libc"})

    def test_manual_page_and_completions(self):
        share = self.prefix / "share"
        page = subprocess.run(["gzip", "-dc", share / "man/man1/gan.1.gz"], capture_output=True, check=True).stdout.decode()
        bash = (share / "bash-completion/completions/gan").read_text()
        zsh = (share / "zsh/site-functions/_gan").read_text()
        fish = (share / "fish/vendor_completions.d/gan.fish").read_text()
        for option in ("eval-every", "same-latents", "truncation"):
            self.assertIn("--" + option, bash)
            self.assertIn("--" + option, zsh)
            self.assertIn("-l " + option, fish)
            self.assertIn("\\-\\-" + option.replace("-", "\\-"), page)
        complete = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gan; echo "${COMPREPLY[*]}"')

        def completed(*words):
            return run("bash", "-c", complete, "-", share / "bash-completion/completions/gan", *words).split()

        self.assertEqual(completed("gan", "exp"), ["export"])
        self.assertEqual(completed("gan", "bench", "st"), ["step"])
        self.assertEqual(completed("gan", "sample", "run", "--precision", ""), ["auto", "f32", "int16", "bf16"])
        self.assertEqual(completed("gan", "sample", "run", "--precision", "=", "b"), ["bf16"])
        self.assertEqual(completed("gan", "train", "tutorial-l"), ["tutorial-lsgan", "tutorial-lsgan-repaired"])
        self.assertEqual(completed("gan", "bench", "step", "--tr"), ["--trace"])
        self.assertEqual(completed("gan", "train", "--steps", ""), [])

    @unittest.skipUnless((pathlib.Path(BUILD) / "libgan_mpi.so").exists(), "built without MPI")
    def test_the_program_finds_its_module_for_several_processes(self):
        environment = self.environment | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                                          "OMPI_MCA_rmaps_base_oversubscribe": "1"}
        said = run("mpirun", "-np", "2", self.gan, "train", "--data", "ring8", "--out", self.folder / "ranks",
                   "--steps", "2", "--threads", "1", env=environment)
        self.assertIn("2 ranks with 1 thread each", said)


if __name__ == "__main__":
    unittest.main()
