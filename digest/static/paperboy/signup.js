// What the sign-up page gains from JavaScript: a preview while typing, papers a day on each chip, the browser's time
// zone. Without it a button shows the preview and the zone is chosen by hand. See digest/web/preview.py.
(() => {
  const form = document.getElementById("sign-up");
  const pane = document.getElementById("preview");
  if (!form) return;

  if (pane) {
    let waiting;
    const changed = (event) => {
      if (!["topic", "filter", "interest"].includes(event.target.name)) return;
      clearTimeout(waiting);
      waiting = setTimeout(() => pane.dispatchEvent(new Event("paperboy:changed")), 250);
    };
    form.addEventListener("input", changed);
    form.addEventListener("change", changed);
    // What the pane offers goes into its field; without JavaScript the link leads to a page that has it filled in.
    pane.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-field]");
      const field = link && form.elements[link.dataset.field];
      if (!field) return;
      event.preventDefault();
      field.value = link.dataset.value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    });
    pane.addEventListener("htmx:beforeSwap", (event) => {
      if (event.detail.xhr.status === 429) event.detail.shouldSwap = true; // it says how long to wait
    });
    pane.addEventListener("htmx:beforeRequest", () => pane.setAttribute("aria-busy", "true"));
    pane.addEventListener("htmx:afterRequest", () => pane.removeAttribute("aria-busy"));
    for (const button of form.querySelectorAll("[data-preview-button]")) button.hidden = true;
  }

  const counters = document.querySelectorAll("[data-topic-count]");
  if (counters.length) {
    fetch("/preview/?counts=1")
      .then((response) => (response.ok ? response.json() : { topics: {} }))
      .then(({ topics }) => {
        for (const counter of counters) {
          const count = topics[counter.dataset.topicCount];
          if (count) counter.textContent = count.a_day;
        }
      })
      .catch(() => {}); // the chips do without
  }

  // Only where the reader has not chosen one: a form that comes back with an error keeps what was sent.
  const zone = form.querySelector("[name=timezone][data-guess]");
  const found = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && found && [...zone.options].some((option) => option.value === found)) zone.value = found;
})();
