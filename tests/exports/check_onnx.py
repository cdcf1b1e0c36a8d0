"""Checks every model FOLDER/*.onnx by the checker of the onnx package. Exits 1 if one is refused.

python3 check_onnx.py FOLDER
"""

import pathlib
import sys

import onnx

paths = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
if not paths:
    sys.exit("no models in " + sys.argv[1])
for path in paths:
    onnx.checker.check_model(onnx.load(path), full_check=True)
