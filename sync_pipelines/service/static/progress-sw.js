/** Keeps the demo page, so that it opens without a network. What is no file of the page, it leaves alone. */

const CACHE = "progress-demo";
const FILES = ["./", "progress.js", "progress-demo.js", "progress-demo.css", "progress-demo.svg"];
const ADDRESSES = new Set(FILES.map((file) => new URL(file, location.href).href));

addEventListener("install", (event) => event.waitUntil(keepAll().then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const address = event.request.url.replace(/[?#].*$/, "");
  if (event.request.method === "GET" && ADDRESSES.has(address)) event.respondWith(newestOf(event, address));
});

async function keepAll() {
  const cache = await caches.open(CACHE);
  await cache.addAll(ADDRESSES);
}

/** A café's network says 200 to everything, and its page is not to be kept for ours. */
const isOurs = ({ ok, redirected, headers }) =>
  ok && !redirected && /^(W\/)?"[0-9a-f]{32}"$/.test(headers.get("ETag") ?? "");

/** The server's, and the kept one where the server cannot be reached or cannot answer. */
async function newestOf(event, address) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(address);
  try {
    const answer = await fetch(event.request);
    if (!isOurs(answer)) return kept ?? answer;
    event.waitUntil(cache.put(address, answer.clone()));
    return answer;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
