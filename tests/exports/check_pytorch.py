"""Draws from every FOLDER/*/generator.py on the inputs of its .json and compares the samples with those there. Prints the
largest difference of each; exits 1 if one is above 1e-5 of the largest sample.

python3 check_pytorch.py FOLDER
"""

import importlib.util
import json
import pathlib
import sys

import torch

failures = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*/generator.py")):
    spec = importlib.util.spec_from_file_location("generator", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = json.loads(path.parent.with_suffix(".json").read_text())
    inputs = [
        torch.tensor(value["data"], dtype=getattr(torch, value["type"])).reshape(value["dims"])
        for value in expected["inputs"].values()
    ]
    samples = torch.tensor(expected["samples"]["data"]).reshape(expected["samples"]["dims"])
    with torch.no_grad():
        found = module.Generator()(*inputs)
    apart = ((found - samples).abs().max() / max(1, samples.abs().max())).item()
    print(f"{path.parent.name}: {apart:.2e}")
    failures += not (found.shape == samples.shape and apart <= 1e-5)
sys.exit(failures > 0)
