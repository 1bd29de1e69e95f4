// The lessons of a course, dragged, or moved by buttons, without leaving the page; what others do meanwhile is shown
// too. The server decides: each change is one request, and its answer is what is shown. Without this, buttons are forms.

const POLL_MS = 4000;
const SEARCH_MS = 250;
const PATIENCE_MS = 20_000;

const root = document.getElementById("mapping");
const form = document.getElementById("change");
const search = document.getElementById("search");
const notice = document.getElementById("notice");
const at = root.dataset.at;
const mayChange = form !== null;

let version = root.querySelector(".board").dataset.version;
// The last answer, which is true until the next one.
let shown = root.cloneNode(true);
let changes = Promise.resolve();
let waiting = 0;
let dragging = false;
// Grows with all that makes an answer to something older worthless.
let turn = 0;

class Unanswered extends Error {}

// --- what is shown -------------------------------------------------------------------------------------------

const parsed = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
};

function show(board, { said = true } = {}) {
  const focused = document.activeElement?.id;
  const lesson = document.activeElement?.closest?.("[data-lesson]")?.dataset.lesson;
  for (const id of ["in-course", "found", "count"]) {
    document.getElementById(id).replaceChildren(...board.querySelector(`#${id}`).cloneNode(true).childNodes);
  }
  if (said) document.getElementById("said").replaceChildren(...board.querySelector("#said").cloneNode(true).childNodes);
  version = board.querySelector(".board").dataset.version;
  sortable();
  refocus(focused, lesson);
}

// Focus stays on what was moved, wherever it is now; on the way back once it is gone.
function refocus(focused, lesson) {
  if (!focused || document.activeElement !== document.body) return;
  const places = [focused, `lesson-${lesson}`, "undo", `other-${lesson}`, "in-course-title"];
  places.map((id) => document.getElementById(id)).find((element) => element !== null)?.focus();
}

function complain(why) {
  const message = document.createElement("p");
  message.className = "message bad";
  message.textContent = root.dataset[why];
  document.getElementById("said").replaceChildren(message);
}

// --- requests ------------------------------------------------------------------------------------------------

async function ask(address, options = {}) {
  const headers = { "HX-Request": "true", "HX-Current-URL": location.href, ...options.headers };
  let answer;
  try {
    answer = await fetch(address, { ...options, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.headers.has("HX-Redirect")) location.assign(answer.headers.get("HX-Redirect"));
    if (answer.ok) return answer.status === 204 ? null : parsed(await answer.text());
  } catch {
    throw new Unanswered("unreachable");
  }
  throw new Unanswered(answer.status === 404 ? "gone" : answer.status < 500 ? "refused" : "unreachable");
}

function address(path = "", more = {}) {
  const query = new URLSearchParams(more);
  const { q, page } = search.dataset;
  if (q) query.set("q", q);
  if (page && page !== "1") query.set("page", page);
  return `${at}${path}${query.size ? `?${query}` : ""}`;
}

// One after the other, in the order in which they were made.
function change(where, fields = {}) {
  waiting += 1;
  turn += 1;
  const tell = async () => {
    const headers = { "X-CSRF-Token": root.dataset.csrf };
    try {
      const board = await ask(where, { method: "POST", body: new URLSearchParams(fields), headers });
      shown = board;
      if (!dragging) show(board);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      show(shown);
      complain(error.message);
    } finally {
      waiting -= 1;
    }
  };
  changes = changes.then(tell);
}

async function look(more = {}) {
  const mine = (turn += 1);
  try {
    const board = await ask(address("", more));
    notice.hidden = true;
    if (mine !== turn || dragging) return;
    if (board !== null) {
      const others = order(board) !== order(root);
      shown = board;
      show(board, { said: false });
      if (more.version && others) document.getElementById("news").textContent = root.dataset.elsewhere;
    }
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    notice.hidden = false;
  }
}

const order = (board) => [...board.querySelectorAll("#in-course > li")].map((lesson) => lesson.dataset.lesson).join();

function poll() {
  if (!document.hidden && !dragging && waiting === 0) look({ version });
}

setInterval(poll, POLL_MS);
document.addEventListener("visibilitychange", poll);

// --- dragging ------------------------------------------------------------------------------------------------

function sortable() {
  if (!mayChange) return;
  const moving = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150;
  for (const list of root.querySelectorAll(".lessons")) {
    if (Sortable.get(list)) continue;
    Sortable.create(list, {
      group: "lessons",
      sort: list.id === "in-course",
      animation: moving,
      // The browser's own dragging is not there for fingers, and shows what it drags as it likes.
      forceFallback: true,
      fallbackOnBody: true,
      fallbackTolerance: 4,
      delay: 200,
      delayOnTouchOnly: true,
      filter: "button, a, input",
      preventOnFilter: false,
      ghostClass: "lands-here",
      fallbackClass: "dragged",
      onStart: () => {
        dragging = true;
        turn += 1;
        root.classList.add("dragging");
      },
      onEnd: dropped,
    });
  }
}

function dropped({ item, from, to, oldIndex, newIndex }) {
  dragging = false;
  root.classList.remove("dragging");
  const { lesson } = item.dataset;
  const into = to.id === "in-course";
  const outOf = from.id === "in-course";
  const before = item.nextElementSibling?.dataset.lesson ?? "";
  if (into && !(outOf && oldIndex === newIndex)) {
    change(address(`/lessons/${lesson}/${outOf ? "move" : "pin"}`), { before });
  } else if (outOf && !into) {
    change(address(`/lessons/${lesson}/unpin`));
  } else {
    // What came meanwhile was not shown.
    show(shown, { said: false });
  }
}

// --- buttons and the search ----------------------------------------------------------------------------------

root.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target === search) searched();
  else change(event.target.action, new FormData(event.target));
});

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = event.submitter;
  if (button.ariaDisabled !== "true") change(button.formAction, button.name ? { [button.name]: button.value } : {});
});

root.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-page]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(search.dataset.q, link.dataset.page);
});

let typing;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(searched, SEARCH_MS);
});

function searched() {
  clearTimeout(typing);
  choose(search.elements.q.value.trim(), "1");
}

function choose(q, page) {
  Object.assign(search.dataset, { q, page });
  history.replaceState(null, "", address());
  // After what was changed before, whose answers show the former search.
  changes = changes.then(() => look());
}

root.classList.add("live");
sortable();
