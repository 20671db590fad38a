// Keys, the slider over recorded times, the number to type, and the queue that looks again. Every page works without it.
"use strict";
(() => {
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const one = (selector, from = document) => from.querySelector(selector);

  for (const element of all(".needs-script")) element.hidden = false;

  // -- keys ----------------------------------------------------------------------------------------------
  const rows = () => all("[data-row]");
  const linkOf = (row) => one("a[href]", row);

  function move(step) {
    const list = rows();
    if (!list.length) return;
    const at = list.findIndex((row) => row.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : list.length - 1) : at + step;
    if (next < 0 || next >= list.length) {
      const page = one(next < 0 ? "[data-previous]" : "[data-next]");
      if (page) page.click();
      return;
    }
    const link = linkOf(list[next]);
    if (!link) return;
    link.focus({ preventScroll: true });
    list[next].scrollIntoView({ block: "nearest" });
  }

  function show(id) {
    const dialog = document.getElementById(id);
    if (dialog && !dialog.open) dialog.showModal();
  }

  const tab = (name) => one(`.tabs a[href*="/${name}"]`);
  const keys = {
    "/": () => { const field = one("[data-quick]"); if (field) { field.focus(); field.select(); } else { const link = tab("search"); if (link) link.click(); } },
    j: () => move(1),
    k: () => move(-1),
    t: () => { const link = tab("timeline"); if (link) link.click(); },
    w: () => {
      const row = document.activeElement && document.activeElement.closest("[data-row]");
      const why = one("[data-why]", row || document);
      if (why) why.open = !why.open;
    },
    "?": () => show("keys"),
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target instanceof HTMLElement && target.closest("input, select, textarea, dialog[open]")) {
      if (event.key === "Escape" && target.matches("input")) target.blur();
      return;
    }
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  for (const button of all("[data-open]")) button.addEventListener("click", () => show(button.dataset.open));
  for (const button of all("[data-print]")) button.addEventListener("click", () => window.print());

  // -- as of ---------------------------------------------------------------------------------------------
  for (const slider of all("[data-stops]")) {
    const stops = slider.dataset.stops.split(" ");
    const form = slider.form;
    const field = one("[data-as-of]", form);
    const shown = one("[data-stop-shown]", form);
    slider.closest("label").hidden = false;
    const say = () => {
      const stop = stops[Number(slider.value)];
      field.value = stop || "";
      shown.value = stop ? new Date(stop + "Z").toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }) + " UTC" : "now";
    };
    slider.addEventListener("input", say);
    slider.addEventListener("change", () => { say(); if (one("[name=q]", form).value.trim()) form.requestSubmit(); });
  }
  // an address with empty fields is hard to read and to send on
  for (const form of all("form:not([method=post])")) {
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of Array.from(event.formData)) if (!value) event.formData.delete(name);
    });
  }

  // -- forgetting ----------------------------------------------------------------------------------------
  for (const form of all("form[data-confirm]")) {
    const wanted = form.dataset.confirm;
    const field = one("[name=confirm]", form);
    const button = one("button.danger", form);
    if (!wanted || !field) continue;
    const check = () => { button.disabled = field.value.replace(/,/g, "").trim() !== wanted; };
    field.addEventListener("input", check);
    check();
  }

  // -- the queue -----------------------------------------------------------------------------------------
  const list = one("[data-refresh]");
  if (list) {
    const again = async () => {
      if (!document.hidden && !list.contains(document.activeElement)) {
        try {
          const answer = await fetch(location.href, { credentials: "same-origin" });
          if (answer.ok) {
            const page = new DOMParser().parseFromString(await answer.text(), "text/html");
            const fresh = page.getElementById(list.id);
            if (fresh) {
              list.replaceChildren(...Array.from(fresh.childNodes));
              if (!fresh.dataset.refresh) return;
            }
          }
        } catch { /* the server is away for a moment: the next look tells */ }
      }
      setTimeout(again, 1000 * Number(list.dataset.refresh));
    };
    setTimeout(again, 1000 * Number(list.dataset.refresh));
  }
})();
