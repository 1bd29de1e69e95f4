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
