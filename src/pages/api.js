// Talks with the server. No page reaches the network in another way.

/** What the server says against a request; status 0 if it does not answer. `field` names the value that is wrong. */
export class ServerError extends Error {
  constructor(message, status, field = null) {
    super(message);
    Object.assign(this, { status, field });
  }
}

/** The path of an address: parts are names, so a "/" in one is no separator. */
export const address = (...parts) => "/v1/" + parts.map(encodeURIComponent).join("/");

/** The response of a request that went well. */
export async function send(method, path, body, { accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (method !== "GET") headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: method === "POST" ? JSON.stringify(body ?? {}) : undefined });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    checkServer();
    throw new ServerError("The server does not answer.", 0);
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new ServerError(answer.error ?? `The server answers with status ${response.status}.`, response.status, answer.field);
}

/** The body of a response: kind is "json" or "blob". */
export async function content(response, kind = "json") {
  try {
    return await response[kind]();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The answer of the server broke off.", 0);
  }
}

export const get = async path => content(await send("GET", path));
export const post = async (path, body) => (await send("POST", path, body)).json().catch(() => ({}));
export const del = path => send("DELETE", path);

/** Calls handlers[name] with the data of each server-sent event, and handlers.open when the stream is there (again).
    Returns what ends it. */
export function events(path, handlers) {
  let source, timer;
  const open = () => {
    source = new EventSource(path);
    for (const [name, handle] of Object.entries(handlers))
      source.addEventListener(name, event => handle(event.data ? JSON.parse(event.data) : null));
    source.addEventListener("error", event => {
      if (event.data) return;  // an event of that name
      checkServer();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 3000);  // an answer that is no stream ends a source
    });
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** Tells "lost" when the server does not answer any more, and "back" when it does again. */
export const connection = new EventTarget();

let checking = false;

/** Asks whether the server is there, until it is. */
export async function checkServer() {
  if (checking) return;
  checking = true;
  let lost = false;
  while (!(await fetch("/health").then(response => response.ok, () => false))) {
    if (!lost) connection.dispatchEvent(new Event("lost"));
    lost = true;
    await new Promise(resolve => setTimeout(resolve, 1000));
  }
  checking = false;
  if (lost) connection.dispatchEvent(new Event("back"));
}

/** A function that runs `action` after `ms`, once however often it is called meanwhile. */
export function throttle(action, ms) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      action();
    }, ms);
  };
}
