// Small courtesies on the sign-up and preferences pages; nothing depends on them.
(() => {
  // signup.js has put the browser's time zone there.
  const zone = document.querySelector("select[data-guess]");
  if (zone && zone.value === Intl.DateTimeFormat().resolvedOptions().timeZone) {
    document.getElementById("zone-hint").textContent = "Found from your browser.";
  }
  // After an answer to a keystroke, tell assistive technology whether the filter is wrong.
  document.addEventListener("htmx:afterSettle", () => {
    for (const caret of document.querySelectorAll(".filter .caret")) {
      const input = caret.parentElement.querySelector("input");
      if (caret.textContent) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  });
  // The caret stays below its column while a long filter is scrolled.
  for (const input of document.querySelectorAll(".filter input")) {
    input.addEventListener("scroll", () => {
      const caret = input.parentElement.querySelector(".caret");
      if (caret) caret.scrollLeft = input.scrollLeft;
    });
  }
})();
