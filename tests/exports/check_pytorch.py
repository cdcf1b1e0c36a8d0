"""Runs the class of every FOLDER/*/*.py on the inputs of its .json and compares the outputs with those there. Prints the
largest difference of each; exits 1 if one is above 1e-5 of the output's largest value, or if there is none.

python3 check_pytorch.py FOLDER
"""

import importlib.util
import json
import pathlib
import sys

import torch

paths = sorted(pathlib.Path(sys.argv[1]).glob("*/*.py"))
failures = 0 if paths else 1
for path in paths:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = json.loads(path.parent.with_suffix(".json").read_text())
    inputs = [
        torch.tensor(value["data"], dtype=getattr(torch, value["type"])).reshape(value["dims"])
        for value in expected["inputs"].values()
    ]
    network = getattr(module, path.stem.capitalize())()
    with torch.no_grad():
        found = network(*inputs)
    if len(expected["outputs"]) == 1:
        found = (found,)
    for one, (name, value) in zip(found, expected["outputs"].items(), strict=True):
        output = torch.tensor(value["data"]).reshape(value["dims"])
        apart = ((one - output).abs().max() / output.abs().max()).item()
        print(f"{path.parent.name} {name}: {apart:.2e}")
        failures += not (one.shape == output.shape and apart <= 1e-5)
sys.exit(failures > 0)
