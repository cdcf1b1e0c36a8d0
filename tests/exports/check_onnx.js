// Runs every model FOLDER/*.onnx in ONNX Runtime on the inputs of its .json and compares the outputs with those there.
// Prints the largest difference of each; exits 1 if one is above 1e-5 of the output's largest value.
//
// node check_onnx.js FOLDER

const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');

function tensor({type, dims, data}) {
  if (type === 'int64') return new ort.Tensor(type, BigInt64Array.from(data.map(BigInt)), dims);
  return new ort.Tensor(type, Float32Array.from(data), dims);
}

function difference(found, expected) {
  if (found.dims.join() !== expected.dims.join()) throw new Error(`shape [${found.dims}], expected [${expected.dims}]`);
  // Relative to the largest value: numbers in the data's units may be large, logits of untrained networks small.
  const scale = Math.max(...expected.data.map(Math.abs));
  return Math.max(...expected.data.map((value, i) => {
    const apart = Math.abs(value - found.data[i]) / scale;
    return Number.isNaN(apart) ? Infinity : apart;
  }));
}

async function largestDifference(model, {inputs, outputs}) {
  const session = await ort.InferenceSession.create(model, {logSeverityLevel: 3});
  if (session.inputNames.join() !== Object.keys(inputs).join()) throw new Error(`inputs ${session.inputNames}`);
  if (session.outputNames.join() !== Object.keys(outputs).join()) throw new Error(`outputs ${session.outputNames}`);
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, tensor(value)]));
  const found = await session.run(feeds);
  return Math.max(...Object.entries(outputs).map(([name, expected]) => difference(found[name], expected)));
}

async function main(folder) {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.onnx'));
  let failures = names.length > 0 ? 0 : 1;
  for (const name of names) {
    const model = path.join(folder, name);
    const expected = JSON.parse(fs.readFileSync(model.replace(/\.onnx$/, '.json')));
    let text;
    try {
      const apart = await largestDifference(model, expected);
      if (!(apart <= 1e-5)) ++failures;
      text = apart.toExponential(2);
    } catch (error) {
      ++failures;
      text = String(error);
    }
    console.log(`${name}: ${text}`);
  }
  process.exitCode = failures > 0 ? 1 : 0;
}

main(process.argv[2]);
