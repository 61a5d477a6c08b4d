// A page of a connect link within another page: tells it what happens. Only pages of origins that
// may show it are answered.
"use strict";
(() => {
  if (window.parent === window) return;
  const place = document.querySelector("[data-embed]");
  if (!place) return;
  document.documentElement.classList.add("embedded");
  const allowed = place.dataset.embed.split(" ").filter(Boolean);
  let parentOrigin;
  const say = (message) => {
    if (parentOrigin) window.parent.postMessage({ jackfield: 1, ...message }, parentOrigin);
  };
  // Said once for each page, also where the browser goes back to it.
  const told = new Set();
  const tellAll = () => {
    for (const element of document.querySelectorAll("[data-embed-event]")) {
      if (told.has(element.dataset.embedEvent)) continue;
      told.add(element.dataset.embedEvent);
      say(JSON.parse(element.dataset.embedEvent));
    }
  };
  addEventListener("message", ({ origin, source, data }) => {
    if (source !== window.parent) return;
    // "*" is on pages that say the same to everybody. What has no origin cannot be answered alone.
    if (!allowed.includes(origin) && (!allowed.includes("*") || origin === "null")) return;
    if (!data || data.jackfield !== 1 || data.type !== "hello") return;
    parentOrigin = origin;
    say({ type: "ready", page: place.dataset.page || "" });
    tellAll();
  });
  document.addEventListener("htmx:afterSettle", tellAll);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) say({ type: "close" });
  });
  document.addEventListener("click", (event) => {
    const closing = event.target.closest("[data-embed-close]");
    if (!closing || !parentOrigin) return;
    event.preventDefault();
    say({ type: "close" });
  });
})();
