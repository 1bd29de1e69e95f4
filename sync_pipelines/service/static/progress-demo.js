/** The demo page: a reader of lessons, and a debug view of what the library knows. */

import { openProgressStore, ProgressSync } from "./progress.js";

const TOKEN = "pp_progress_token";
/** So often the time of an open lesson is kept: a browser that is killed loses no more. */
const KEPT_EVERY_MS = 15_000;

/** @param {string} id */
const at = (id) => /** @type {any} */ (document.getElementById(id));

const store = await openProgressStore();
const sync = new ProgressSync(store, { token: sessionStorage.getItem(TOKEN) });

// --- Reading ------------------------------------------------------------------------------------------------

/** The lesson that is open: its time runs while the page can be seen. @type {{id: string, ms: number} | null} */
let reading = null;
/** @type {number | null} */
let runsSince = null;

/** The time of this sitting that is not kept yet, in ms. */
const running = () => (runsSince === null ? 0 : performance.now() - runsSince);

/** Ends the running time, and begins it anew where it goes on. */
function takeTime(goesOn = document.visibilityState === "visible") {
  const spent = running();
  runsSince = reading && goesOn ? performance.now() : null;
  if (reading) reading.ms += spent;
  return spent;
}

/** Keeps the time until now. */
async function keepTime(goesOn = document.visibilityState === "visible") {
  const spent = takeTime(goesOn);
  if (reading && spent) await store.addTime(reading.id, spent);
}

/** @param {string} id */
async function openLesson(id) {
  await closeLesson();
  await store.markSeen(id);
  reading = { id, ms: 0 };
  await keepTime();
  await show();
  at("reading-title").focus();
}

async function closeLesson() {
  const kept = keepTime(false);
  reading = null;
  await kept;
  await show();
}

/**
 * @param {string} id
 * @param {string} type
 * @param {() => unknown} work
 */
function on(id, type, work) {
  at(id).addEventListener(type, async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      tell("");
      await work();
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error));
    }
  });
}

/** @param {string} message */
function tell(message) {
  at("error").textContent = message;
  at("error").hidden = message === "";
}

on("open", "submit", async () => {
  await openLesson(at("lesson").value.trim());
  at("open").reset();
});
on("close", "click", async () => {
  await closeLesson();
  at("lesson").focus();
});
on("complete", "click", () => reading && store.setCompletion(reading.id, true));
on("incomplete", "click", () => reading && store.setCompletion(reading.id, false));
on("score-form", "submit", async () => {
  if (reading) await store.setScore(reading.id, at("score").valueAsNumber);
  at("score-form").reset();
});
on("login", "submit", () => {
  const token = at("token").value.trim();
  sync.login(token);
  sessionStorage.setItem(TOKEN, token);
  at("login").reset();
});
on("logout", "click", () => {
  sessionStorage.removeItem(TOKEN);
  sync.logout();
});
on("sync", "click", () => sync.sync());
on("export", "click", async () => {
  const file = new Blob([JSON.stringify(await store.exportState(), null, 2)], { type: "application/json" });
  const link = element("a", { href: URL.createObjectURL(file), download: "pp_progress_v1.json" });
  link.click();
  URL.revokeObjectURL(link.href);
});

// --- Showing ------------------------------------------------------------------------------------------------

/**
 * @param {string} tag
 * @param {Record<string, unknown>} values
 * @param {(Node | string)[]} children
 * @returns {any}
 */
function element(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

/** @param {number} ms */
function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** @param {string | number | null} time */
function moment(time) {
  if (time === null) return "never";
  const date = new Date(time);
  return date.getTime() === 0 ? "undated" : (isToday(date) ? CLOCK : DAY).format(date);
}

/** @param {Date} date */
const isToday = (date) => date.toDateString() === new Date().toDateString();

const PHASES = {
  "signed out": ["Signed out", "quiet"],
  refused: ["Refused", "bad"],
  syncing: ["Syncing", "busy"],
  waiting: ["Sync planned", "busy"],
  idle: ["Up to date", "good"],
};

function showStatus() {
  const { phase, nextAttemptAt, lastError } = sync.status;
  const [words, tone] = PHASES[phase];
  Object.assign(at("phase"), { textContent: words, className: `state ${tone}` });
  const online = navigator.onLine;
  Object.assign(at("network"), {
    textContent: online ? "Online" : "Offline",
    className: `state ${online ? "good" : "busy"}`,
  });
  const wait = nextAttemptAt === null ? 0 : Math.max(0, Math.ceil((nextAttemptAt - Date.now()) / 1000));
  at("next-attempt").textContent = nextAttemptAt === null ? "none planned" : `in ${wait} s`;
  at("last-error").textContent = lastError ? `${lastError.message} (${moment(lastError.at)})` : "none";
  const signedIn = phase !== "signed out" && phase !== "refused";
  at("session").hidden = !signedIn;
  at("login").hidden = at("token-note").hidden = signedIn;
}

function showTimer() {
  at("timer").textContent = duration((reading?.ms ?? 0) + running());
}

async function show() {
  const [{ device_id, last_sync_at, lessons, pending }, refused, aside] = await Promise.all([
    store.exportState(),
    store.refused(),
    store.setAside(),
  ]);
  at("device").textContent = device_id;
  at("last-sync").textContent = moment(last_sync_at);
  at("pending").textContent = pending.length ? `${pending.length}: ${pending.join(", ")}` : "nothing";
  at("kept-in").textContent = store.durable ? "IndexedDB" : "memory only";
  const notes = [...store.warnings, ...aside.map((one) => `Set aside on ${moment(one.at)}: ${one.reason}.`)];
  at("notes").replaceChildren(...notes.map((note) => element("li", {}, note)));
  at("notes").hidden = notes.length === 0;
  const entries = Object.entries(lessons);
  at("rows").replaceChildren(...entries.map(([id, one]) => row(id, one, pending.includes(id), refused[id])));
  at("table").hidden = entries.length === 0;
  at("no-rows").hidden = entries.length > 0;
  at("lessons").replaceChildren(...entries.map(([id, one]) => element("li", {}, chip(id, one))));
  showReading(reading && lessons[reading.id]);
}

/** @param {import("./progress.js").Lesson | null} lesson */
function showReading(lesson) {
  at("reading").hidden = lesson === null;
  at("nothing").hidden = lesson !== null;
  if (!reading || !lesson) return;
  at("reading-title").textContent = `Lesson ${reading.id}`;
  at("percent").value = lesson.percent;
  at("complete").disabled = lesson.completed;
  at("incomplete").disabled = !lesson.completed;
  showTimer();
}

/**
 * @param {string} id
 * @param {import("./progress.js").Lesson} lesson
 */
function chip(id, lesson) {
  const button = element("button", { type: "button" }, id, lesson.completed ? " ✓" : "");
  button.ariaLabel = `Open lesson ${id}${lesson.completed ? ", completed" : ""}`;
  button.ariaPressed = String(reading?.id === id);
  button.addEventListener("click", () => openLesson(id));
  return button;
}

/**
 * @param {string} id
 * @param {import("./progress.js").Lesson} lesson
 * @param {boolean} isPending
 * @param {import("./progress.js").Refusal | undefined} refusal
 */
function row(id, lesson, isPending, refusal) {
  const [state, tone] = refusal ? ["refused", "bad"] : isPending ? ["pending", "busy"] : ["synced", "good"];
  const why = refusal ? element("small", {}, `${refusal.field ? `${refusal.field}: ` : ""}${refusal.reason}`) : "";
  const cells = [
    ["State", element("span", { className: `state ${tone}` }, state), why],
    ["Seen", lesson.seen ? "yes" : "no"],
    ["Done", `${lesson.percent} %${lesson.completed ? " ✓" : ""}`],
    ["Time here", duration(lesson.own_time_ms)],
    ["All devices", duration(lesson.time_ms)],
    ["Score", lesson.score_last ?? "–"],
    ["Best", lesson.score_best ?? "–"],
    ["Changed", moment(lesson.updated_at)],
  ];
  const made = element("tr", {}, element("th", { scope: "row" }, id));
  made.dataset.lesson = id;
  for (const [label, ...content] of cells) {
    const cell = element("td", {}, ...content.map((part) => (part instanceof Node ? part : String(part))));
    cell.dataset.label = label;
    made.append(cell);
  }
  return made;
}

// --- The page's life ----------------------------------------------------------------------------------------

store.onChange(show);
sync.onStatus(showStatus);
for (const type of ["online", "offline"]) addEventListener(type, showStatus);
document.addEventListener("visibilitychange", () => keepTime());
addEventListener("pagehide", () => reading && store.addTimeOnLeaving(reading.id, takeTime(false)));
addEventListener("pageshow", () => takeTime());
setInterval(() => keepTime(), KEPT_EVERY_MS);
setInterval(() => (showTimer(), showStatus()), 1000);
navigator.serviceWorker?.register("progress-sw.js");
navigator.serviceWorker?.ready.then(() => (at("opens-offline").textContent = "yes"));
await show();
showStatus();
sync.start();
document.documentElement.dataset.ready = "";
