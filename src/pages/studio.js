// The shell of the studio: which page is shown, and whether the server is there.
import { connection, get, ServerError } from "./api.js";
import { element, fail, paragraph, tell } from "./pieces.js";

// A page's module has a `title` and `show(main, parts, { server })`, which fills `main` and may return what ends the page.
const pages = {
  runs: parts => import(parts.length ? "./run.js" : "./runs.js"),
  compare: () => import("./compare.js"),
  start: () => import("./start.js"),
  draw: () => import("./draw.js"),
  playground: () => import("./playground.js"),
};
const root = document.documentElement.dataset;
let leave = null;      // ends the page that is shown
let turn = 0;          // counts the pages that were asked for
let unshown = false;   // the page could not be shown, as the server was not there

/** Shows the page that the address names: #/PAGE/PART/... */
async function route() {
  const mine = ++turn;
  leave?.();
  leave = null;
  root.status = "loading";
  // A page that is left while it loads goes on drawing into an element that nobody sees.
  const main = element("main", { id: "main", tabIndex: -1 });
  document.getElementById("main").replaceWith(main);
  unshown = false;
  let status = "ready", end;
  try {
    const server = await get("/v1/server");
    if (mine !== turn) return;
    const path = location.hash.slice(2) || (server.root ? "runs" : "draw");
    const [name, ...parts] = path.split("/").filter(Boolean).map(decodeURIComponent);
    shell(server, name);
    if (!Object.hasOwn(pages, name)) throw new ServerError("There is no such page.", 404);
    const page = await pages[name](parts);
    document.title = [...parts, page.title, "gan studio"].join(" · ");
    end = await page.show(main, parts, { server });
  } catch (error) {
    if (mine !== turn) return;
    status = "refused";
    unshown = error.status === 0 || error.status === 503;
    if (error instanceof ServerError) main.append(element("h1", {}, "Not here"), paragraph(error.message));
    else fail(error.message);
  }
  if (mine !== turn) return end?.();
  leave = end;
  await Promise.allSettled([...main.querySelectorAll("img")].map(img => img.decode()));
  if (mine === turn) tell(status);
}

/** The parts around the page. */
function shell(server, name) {
  for (const link of document.querySelectorAll(".bar a")) {
    const page = link.hash.slice(2);
    link.hidden = page === "runs" && !server.root;
    link.ariaCurrent = page === name || page === "runs" && ["compare", "start"].includes(name) ? "page" : null;
  }
  document.getElementById("footer").textContent =
    `gan ${server.version}${server.read_only ? ", read-only" : ""}. Plots by Chart.js ${Chart.version} (MIT license).`;
}

window.addEventListener("hashchange", async () => {
  await route();
  document.getElementById("main").focus({ preventScroll: true });  // so that keys and screen readers begin at the new page
});
document.addEventListener("click", event => {  // links to a section leave the address as it is: it names the page
  const link = event.target.closest("a[href^='#']:not([href^='#/'])");
  if (!link) return;
  event.preventDefault();
  const place = document.getElementById(link.hash.slice(1));
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  place.scrollIntoView();
});
connection.addEventListener("lost", () => {
  document.getElementById("connection").hidden = false;
});
connection.addEventListener("back", () => {
  document.getElementById("connection").hidden = true;
  if (unshown) route();
});
route();
