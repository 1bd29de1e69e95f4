// What scripts add to pages that work without any: they stay fresh while somebody looks at them.

const notice = document.getElementById("notice");

document.body.addEventListener("htmx:beforeRequest", (event) => {
  // What refreshes by itself rests while nobody sees it.
  if (document.hidden && event.detail.elt.hasAttribute("data-live")) event.preventDefault();
});
for (const failed of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.body.addEventListener(failed, () => (notice.hidden = false));
}
document.body.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful) notice.hidden = true;
});
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  // What a screen reader reads out is touched only where it says something new.
  const { target, fragment } = event.detail;
  if (target.matches('[role="status"]') && target.textContent.trim() === fragment.textContent.trim()) {
    event.detail.shouldSwap = false;
  }
});
