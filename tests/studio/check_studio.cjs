// Clicks through the pages of a studio in Chromium, as a user would, and compares what they show with the files of the
// runs. The folder ROOT holds the runs `digits` (images in three classes, with pictures through training) and `points`
// (in the plane), and the table points.csv. Prints a line of JSON, or a line for each failure and exits with 1.
//
// node check_studio.cjs GAN ROOT

const { execFileSync, spawn } = require("child_process");
const fs = require("fs");
const path = require("path");

const started = Date.now(), patience = 20000;  // milliseconds for one thing to happen, on a machine that is busy
const failures = [];
let checks = 0;

/** Notes a failure if `ok` is false. */
function check(ok, text) {
  ++checks;
  if (!ok) failures.push(text);
}
function equal(found, expected, text) {
  const [a, b] = [found, expected].map(value => JSON.stringify(value));
  check(a === b, `${text}: ${a}, expected ${b}`);
}
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
async function until(done, text) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(50)) if (await done()) return true;
  throw new Error("waited in vain for " + text);
}

/** Ends the program with a line that says what to install. */
function missing(what) {
  console.log(`${what} is missing, and with it the only eye of this test; scripts/deps.sh --test brings it`);
  process.exit(1);
}
function required(name) {
  try {
    return require.resolve(name);
  } catch {
    return missing("the module " + name.split("/")[0]);
  }
}
const { chromium } = require(required("playwright-core"));
const axe = fs.readFileSync(required("axe-core/axe.min.js"), "utf8");
const browserPath = process.env.PATH.split(":").map(folder => path.join(folder, "chromium")).find(file => fs.existsSync(file))
  ?? missing("chromium");

const [gan, root] = process.argv.slice(2);
const read = file => fs.readFileSync(path.join(root, file), "utf8");
const lines = file => read(file).trimEnd().split("\n").map(line => JSON.parse(line));

// ---- the studio ----

let studio = null, port = 0;

/** Starts the studio, again at the same port. */
async function startStudio() {
  studio = spawn(gan, ["studio", root, "--port", String(port), "--threads", "1"], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  studio.stdout.on("data", data => {
    said += data;
  });
  await until(() => said.includes("\n") || studio.exitCode !== null, "the studio");
  port = Number(/http:\/\/127\.0\.0\.1:(\d+)\//.exec(said)?.[1]);
  if (!port) throw new Error("the studio did not start: " + said);
}
async function killStudio() {
  const gone = new Promise(resolve => studio.on("exit", resolve));
  studio.kill("SIGKILL");
  await gone;
}
const base = () => `http://127.0.0.1:${port}`;
const post = (route, body) => fetch(base() + route,
  { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// ---- the browser ----

let page, debug, lost = false;  // lost: the studio was killed, so requests fail
const errors = [];

async function openBrowser() {
  const browser = await chromium.launch({ executablePath: browserPath,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"] });
  page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(patience);
  page.on("pageerror", error => errors.push(error.message));
  page.on("console", message => {
    const refused = message.location().url.endsWith("/v1/runs") && message.text().includes("status of 400");  // the form's checks
    if (message.type() === "error" && !refused && !lost) errors.push(message.text());
  });
  page.on("request", request => {
    if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(base() + "/")) errors.push("asked for " + request.url());
  });
  debug = await page.context().newCDPSession(page);
  return browser;
}

const drawn = () => page.waitForFunction(() => ["ready", "refused", "failed"].includes(document.documentElement.dataset.status));
/** Goes to another page of the studio. */
async function go(hash) {
  await page.evaluate(to => {
    document.documentElement.dataset.status = "left";
    location.hash = to;
  }, hash);
  await drawn();
}
const text = selector => page.textContent(selector);
const texts = selector => page.locator(selector).allTextContents();
const waitForText = (selector, part) => page.waitForFunction(
  ([selector, part]) => document.querySelector(selector)?.textContent.includes(part), [selector, part]);
/** A number as the pages write it. */
const written = value => page.evaluate(async value => (await import("/studio/pieces.js")).number(value), value);

/** What every page must be: without errors, as wide as its window, and usable by everybody. */
async function inspect(name) {
  const { errors: said, status } = await page.evaluate(() => ({ ...document.documentElement.dataset }));
  equal([said, status], ["", "ready"], name + ": errors and status");
  await page.evaluate(() => document.querySelectorAll("details").forEach(each => {
    each.open = true;
  }));
  await debug.send("Runtime.evaluate", { expression: axe });  // pages run no script of others; the debugger may
  const findings = options => page.evaluate(async options => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"], ...options });
    return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
      .map(({ id, nodes }) => `${id} at ${nodes.slice(0, 3).map(({ target }) => target.join(" ")).join(", ")}`);
  }, options);
  equal(await findings({}), [], name + ": axe");
  await page.emulateMedia({ colorScheme: "dark" });
  equal(await findings({ runOnly: ["color-contrast"] }), [], name + ": axe in the dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 360, height: 900 });
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  check(await fits() || await sleep(500).then(fits), name + ": wider than a telephone");  // plots take a moment to shrink
  await page.setViewportSize({ width: 1200, height: 900 });
}

/** Points that a plot of the page draws: for each line, [step, value]. */
const plotted = index => page.evaluate(index => {
  const chart = Chart.getChart(document.querySelectorAll("#curves canvas")[index]);
  return chart.data.datasets.map(({ data }) => data.map(({ x, y }) => [x, y]));
}, index);

/** Sends what a call by curl says, as a shell understands it, and returns its answer. */
function send(call) {
  const words = execFileSync("/bin/sh", ["-c", 'curl() { printf "%s\\0" "$@"; }\n' + call], { encoding: "utf8" }).split("\0");
  const request = { headers: {} };
  let url;
  for (let i = 0; i < words.length - 1; ++i) {
    if (words[i] === "-X") request.method = words[++i];
    else if (words[i] === "-d") request.body = words[++i];
    else if (words[i] === "-o") ++i;
    else if (words[i] === "-H") Object.assign(request.headers, Object.fromEntries([words[++i].split(": ")]));
    else url = words[i];
  }
  return fetch(url, request);
}
/** Whether a canvas shows exactly what an answer holds as PNG. */
const shows = async (selector, answer) => page.evaluate(async ([selector, bytes]) => {
  const canvas = document.querySelector(selector);
  const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
  const own = document.createElement("canvas");
  [own.width, own.height] = [bitmap.width, bitmap.height];
  own.getContext("2d").drawImage(bitmap, 0, 0);
  const pixels = each => each.getContext("2d").getImageData(0, 0, each.width, each.height).data;
  const [a, b] = [pixels(canvas), pixels(own)];
  return a.length === b.length && new Set(a).size > 2 && a.every((value, i) => value === b[i]);
}, [selector, [...Buffer.from(await answer.arrayBuffer())]]);

// ---- the pages ----

async function runs() {
  await page.goto(base());
  await drawn();
  equal((await texts("article h2")).sort(), ["digits", "points"], "runs: cards");
  const last = lines("digits/metrics.jsonl").at(-1).step;
  const card = page.locator("article", { hasText: "digits" });
  equal(await card.locator(".badge").textContent(), "finished", "runs: state");
  equal(await card.locator(".quiet").textContent(), `lsgan-r1r2 on x.idx,y.idx, step ${last} of ${last}`, "runs: facts");
  check(await card.locator("img").evaluate(img => img.complete && img.naturalWidth > 20), "runs: picture of a card");
  equal(await card.locator("polyline.g").evaluate(line => line.points.length), lines("digits/metrics.jsonl").length, "runs: sparkline");
  await inspect("runs");
}

async function compare() {
  for (const name of ["digits", "points"]) await page.check(`[aria-label="Compare ${name}"]`);
  await page.click("text=Compare 2 runs");
  await waitForText("h1", "Compare 2 runs");
  await drawn();
  const row = async name => {
    const cells = await page.locator("tr", { has: page.locator(`th:text-is("${name}")`) }).first().locator("td").allTextContents();
    return cells.slice(0, 2).sort();
  };
  equal(await row("steps"), ["digits", "points"].map(name => String(lines(name + "/metrics.jsonl").at(-1).step)).sort(), "compare: steps");
  equal(await row("data.source"), ["digits", "points"].map(name => /source = ("[^"]*")/.exec(read(name + "/config.toml"))[1]).sort(),
    "compare: a value that differs");
  check(await page.locator("canvas").count() >= 5, "compare: plots");
  await inspect("compare");
}

async function oneRun() {
  await go("#/runs/digits");
  const all = lines("digits/metrics.jsonl"), last = all.at(-1);
  for (const [index, keys] of [["loss_g", "loss_d"], ["d_real", "d_fake"]].entries())
    equal(await plotted(index), keys.map(key => all.map(line => [line.step, line[key]])), "run: points of plot " + index);
  equal((await texts(".tiles b"))[0], String(last.step), "run: steps");
  const pictures = fs.readdirSync(path.join(root, "digits/samples")).length;
  equal(Number(await page.getAttribute("#samples input", "max")) + 1, pictures, "run: pictures");
  check(pictures > 2 && await page.evaluate(() => document.documentElement.dataset.pictures === "2/2"), "run: pictures are drawn");
  await page.fill("#samples input", "0");
  equal(await text("#samples output"), "step 20", "run: the first picture");
  equal(await text("#configuration pre"), read("digits/config.toml"), "run: configuration");
  equal(await text("#command pre"), read("digits/command.txt"), "run: command");
  const batch = /^batch = (\d+)/m.exec(read("digits/config.toml"))[1];
  check((await texts("#summary tr")).includes("batch" + batch), "run: batch");
  await inspect("run");
}

/** Starts a run by the form. */
async function start() {
  await go("#/runs");
  await page.click("text=New run");
  await waitForText("h1", "New run");
  await drawn();
  const refused = async (field, body) => {
    const { error } = await (await post("/v1/runs", { ...body, check: true })).json();
    await waitForText("form .problem", error);
    equal(await page.getAttribute(`[name="${field}"]`, "aria-invalid"), "true", `start: ${field} is marked`);
  };
  await page.fill("[name=data]", "nothing-of-that-name");
  await refused("data", { data: "nothing-of-that-name" });
  const offered = await page.evaluate(() => [...document.querySelector("[name=data]").list.options].map(({ value }) => value));
  check(offered.includes("ring8") && offered.includes("points.csv") && !offered.includes("digits"), "start: data is offered: " + offered);
  await page.fill("[name=data]", "points.csv");
  await page.fill("[name=name]", "new/one");
  await page.fill("form .pair input", "2");  // minutes
  await page.click("text=Any other value");
  await page.fill("[type=search]", "train.batch");
  await page.click(".keys button:text-is('train.batch')");
  await page.fill("[name='set.train.batch']", "-3");
  await refused("set.train.batch", { data: "points.csv", set: { "train.batch": -3 } });
  await page.click("form button[type=submit]");  // it is refused then, too
  await page.waitForFunction(() => !document.querySelector("form button[type=submit]").disabled);
  check((await text("form .problem")).includes("train.batch") && !fs.existsSync(path.join(root, "new")), "start: refused");
  await page.fill("[name='set.train.batch']", "16");
  await page.fill("[type=search]", "threads");
  await page.click(".keys button:text-is('train.threads')");
  await page.fill("[name='set.train.threads']", "1");
  const command = `gan train --data ${root}/points.csv --time 2m --set train.batch=16 --set train.threads=1 --out ${root}/new/one`;
  await waitForText("form pre", command);
  equal(await text("form .problem"), "", "start: nothing is wrong");
  await inspect("start");
  await page.click("form button[type=submit]");
  await page.waitForURL(/#\/runs\/new%2Fone$/);
  await waitForText(".badge", "training");
  const config = read("new/one/config.toml");
  check(/^batch = 16 /m.test(config) && /^time = 120\.0 /m.test(config), "start: the run's values");
}

const lastStep = async () => (await plotted(0))[0].at(-1)[0];
async function grows(what) {
  await page.waitForSelector("#curves canvas");
  const before = await lastStep();
  await until(async () => await lastStep() > before, what);
  ++checks;
}

/** The studio goes while a run trains, and comes back. */
async function lostServer() {
  await grows("curves that grow");
  lost = true;
  await killStudio();
  await page.waitForSelector("#connection:not([hidden])");
  check((await text("#connection")).includes("does not answer"), "lost: the page says so");
  await page.evaluate(() => {
    location.hash = "#/runs/points";
  });
  await waitForText("h1", "Not here");
  await startStudio();
  await page.waitForSelector("#connection[hidden]", { state: "attached" });
  await waitForText("h1", "points");  // the page that could not be shown
  lost = false;
  await go("#/runs/new%2Fone");
  equal(await text(".badge"), "training", "lost: trainings go on");
  await grows("curves that grow after the studio has come back");
}

async function stopAndResume() {
  await go("#/runs");
  const card = page.locator("article").first();
  equal([await card.locator("h2").textContent(), await card.locator(".badge").textContent()], ["new/one", "training"], "runs: a new card");
  const step = await card.locator(".quiet").textContent();
  check(step.startsWith("vector on points.csv, step "), "runs: names instead of paths: " + step);
  equal(await card.locator(".quiet").getAttribute("title"), root + "/points.csv", "runs: the path");
  await until(async () => await card.locator(".quiet").textContent() !== step, "a card that changes");
  await card.locator("a").click();
  await waitForText("h1", "new/one");
  await drawn();
  await page.click("button:text-is('Stop')");
  await waitForText(".badge", "stopped");
  const { step: last } = lines("new/one/metrics.jsonl").at(-1);
  await until(async () => await lastStep() === last, "the last line");
  await page.fill(".resume input", String(last + 500));
  await page.selectOption(".resume select", "steps");
  await page.click("button:text-is('Resume')");
  await waitForText(".state", `finishedstep ${await written(last + 500)} of ${await written(last + 500)}`);
  equal(lines("new/one/metrics.jsonl").at(-1).step, last + 500, "resume: steps");
  await until(async () => await lastStep() === last + 500, "lines of the resumed run");
  const all = lines("new/one/metrics.jsonl");
  check(JSON.stringify(await plotted(0)) === JSON.stringify(["loss_g", "loss_d"].map(key => all.map(line => [line.step, line[key]]))),
    "resume: the plot has each line once, as the file has it");
}

const frames = () => page.evaluate(() => Number(document.documentElement.dataset.frames));
const pixels = selector => page.evaluate(selector => document.querySelector(selector).toDataURL(), selector);
/** Does something and waits for the samples that it draws. */
async function redraws(what, action) {
  const before = await frames(), picture = await pixels(".stage canvas");
  await action();
  await until(async () => await frames() > before, what);
  check(await pixels(".stage canvas") !== picture, what);
}

async function draw() {
  await go("#/draw/digits");
  equal(await page.locator(".cells button").count(), 24, "draw: samples of three classes");
  equal(await texts(".stage .labels span"), ["0", "1", "2"], "draw: names of the rows");
  await redraws("draw: a class", () => page.click(".toggles button:text-is('1')"));
  equal(await page.locator(".cells button").count(), 8, "draw: samples of a class");
  equal(await page.getAttribute(".toggles button:text-is('1')", "aria-pressed"), "true", "draw: the class is pressed");
  await redraws("draw: truncation", () => page.fill("[aria-describedby$=help][type=range]", "0.5"));
  await redraws("draw: another seed", () => page.click("[aria-label='Another seed']"));
  await page.click(".stage summary");
  check(await shows(".stage canvas", await send(await text(".stage .call pre"))), "draw: curl draws the page's picture");
  const still = await pixels(".stage canvas");
  await page.focus(".pad");
  await redraws("draw: the plane", () => page.keyboard.press("ArrowRight"));
  check(await shows(".stage canvas", await send(await text(".stage .call pre"))), "draw: curl draws it, too, when it is moved");
  await redraws("draw: its centre", () => page.click("text=Centre"));
  check(await pixels(".stage canvas") === still, "draw: the centre of the plane is what the seed draws");

  await page.click(".cells button >> nth=2");
  await page.waitForSelector("aside:not([hidden])");
  equal(await text("aside h2"), "label 1", "draw: the chosen sample");
  await page.click("aside summary");
  await page.waitForFunction(() => document.querySelector("aside canvas").width > 1);
  check(await shows("aside canvas", await send(await text("aside .call pre"))), "draw: curl draws the chosen sample");
  await page.click("aside button:text-is('Find')");
  await page.waitForSelector(".neighbours img");
  equal(await page.locator(".neighbours li").count(), 6, "draw: neighbours");
  check(await page.locator(".neighbours img").evaluateAll(all => all.every(img => img.naturalWidth === 8)), "draw: their pictures");
  await redraws("draw: variations", () => page.click("text=More like this"));
  await inspect("draw");
  check(page.url().includes("c.label=1"), "draw: the address keeps what is drawn");
}

async function drawPoints() {
  await go("#/draw/points");
  await page.click(".vectors tbody button >> nth=0");
  await page.waitForSelector("aside:not([hidden])");
  await page.click("aside summary");
  const { samples, conditions } = await (await send(await text("aside .call pre"))).json();
  equal(conditions, [{ label: "0" }], "draw points: the condition of curl");
  equal(await texts("aside td"), await Promise.all(samples[0].map(written)), "draw points: the values of curl");
  await inspect("draw points");
}

async function playground() {
  await go("#/playground");
  const step = () => text(".slider output");
  const first = await step();
  await until(async () => await step() !== first, "frames of the playground");
  await page.click(".slider button:text-is('Pause')");
  const paused = await step(), seen = await pixels(".worlds canvas");
  await sleep(300);
  equal(await step(), paused, "playground: paused");
  await page.focus(".slider input");
  await page.keyboard.press("Home");
  equal(await step(), "step 0", "playground: the first frame");
  check(await pixels(".worlds canvas") !== seen, "playground: another frame");
  check((await page.getAttribute(".worlds canvas", "aria-label")).startsWith("Cross entropy at step 0."), "playground: what it says");
  await page.waitForSelector("figure .plot canvas");
  await inspect("playground");
}

async function main() {
  if (!gan || !root) throw new Error("usage: node check_studio.cjs GAN ROOT");
  await startStudio();
  const browser = await openBrowser();
  try {
    for (const part of [runs, compare, oneRun, start, lostServer, stopAndResume, draw, drawPoints, playground]) {
      try {
        await part();
      } catch (error) {
        failures.push(`${part.name}: ${error.message.split("\n").slice(0, 4).join(" ")}`);
        lost = false;
        if (studio.exitCode !== null || studio.signalCode !== null) await startStudio();
      }
      failures.push(...errors.splice(0).map(error => `${part.name}: ${error.slice(0, 300)}`));
    }
  } finally {
    await post("/v1/runs/new%2Fone/stop", {}).catch(() => {});  // trainings outlive the studio
    await browser.close();
  }
}

main().catch(error => failures.push(error.message)).finally(() => {
  studio?.kill();
  if (failures.length > 0) console.log(failures.join("\n"));
  else console.log(JSON.stringify({ checks, seconds: Math.round((Date.now() - started) / 1000) }));
  process.exit(failures.length > 0 ? 1 : 0);
});
