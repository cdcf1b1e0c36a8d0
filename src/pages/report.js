// The report of a run: one file, drawn from the JSON block `data`, which runs/report_data.cpp writes.
import { tell } from "./pieces.js";
import { drawRun } from "./sections.js";

const data = JSON.parse(document.getElementById("data").textContent);
document.title = "Report of " + data.name;
document.getElementById("title").textContent = data.name;
document.getElementById("subtitle").textContent = data.summary + ", in " + data.run;
document.getElementById("footer").textContent =
  "Written by gan " + data.version + ". Plots by Chart.js " + (window.Chart?.version ?? "") + " (MIT license).";
drawRun(document.querySelector("main"), document.querySelector("nav"), data);
window.addEventListener("load", () => tell("drawn"));
