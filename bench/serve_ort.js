// A server as one writes it around ONNX Runtime: each request draws one sample of the exported model. bench/serve
// compares it with gan serve. node bench/serve_ort.js MODEL.onnx PORT LATENT
"use strict";
const http = require("http");
const ort = require("../tests/exports/node_modules/onnxruntime-node");
const [model, port, latent] = process.argv.slice(2);

function normals(count) {
  const z = new Float32Array(count);
  for (let i = 0; i < count; ++i) z[i] = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return z;
}

ort.InferenceSession.create(model, { intraOpNumThreads: 1 }).then(session => {
  http.createServer((request, response) => {
    let body = "";
    request.on("data", piece => body += piece);
    request.on("end", async () => {
      const label = BigInt(JSON.parse(body).conditions.label);
      const result = await session.run({
        z: new ort.Tensor("float32", normals(+latent), [1, +latent]),
        label: new ort.Tensor("int64", BigInt64Array.from([label]), [1]),
      });
      const { data } = result[session.outputNames[0]];
      response.writeHead(200, { "Content-Type": "application/x-npy", "Content-Length": data.byteLength });
      response.end(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    });
  }).listen(+port, "127.0.0.1", () => console.log("ready"));
});
