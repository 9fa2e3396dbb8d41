// Small courtesies on the sign-up and preferences pages. Everything works without this file.
(() => {
  // The time zone of the browser, unless the reader has chosen another or the server knows one.
  const zone = document.querySelector("select[data-find-zone]");
  if (zone) {
    const found = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (found && zone.value === zone.dataset.findZone) {
      if (![...zone.options].some((option) => option.value === found)) zone.add(new Option(found, found));
      zone.value = found;
      const hint = document.getElementById("zone-hint");
      if (hint) hint.textContent = "Found from your browser.";
    }
  }
  // The live preview: dim while it is asked for. The filter box: tell assistive technology that it is wrong.
  document.addEventListener("htmx:beforeRequest", (event) => event.detail.target.setAttribute("aria-busy", "true"));
  document.addEventListener("htmx:afterRequest", (event) => event.detail.target.removeAttribute("aria-busy"));
  document.addEventListener("htmx:afterSettle", () => {
    for (const input of document.querySelectorAll(".filter input")) {
      const caret = input.parentElement.querySelector(".caret");
      if (caret && caret.textContent) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  });
  // The caret stays below its column while a long filter is scrolled.
  document.addEventListener("scroll", (event) => {
    const caret = event.target.parentElement && event.target.parentElement.querySelector(".caret");
    if (caret) caret.scrollLeft = event.target.scrollLeft;
  }, true);
})();
