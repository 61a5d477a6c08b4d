// What connect pages do where JavaScript runs: a provider's login in a window of its own, which
// tells the page that opened it how it ended.
"use strict";
(() => {
  const name = "jackfield-login";
  const place = document.querySelector("[data-connect]");
  const base = place ? place.dataset.connect : "";
  const inWindow = window.name === name;
  let left = false;

  // Only a page of the same link is followed, and once.
  const follow = (href) => {
    if (left || inWindow || typeof href !== "string" || !base) return;
    if (href === base || href.startsWith(`${base}/`) || href.startsWith(`${base}?`)) {
      left = true;
      location.assign(href);
    }
  };
  const channel = "BroadcastChannel" in window ? new BroadcastChannel(name) : null;
  if (channel) channel.addEventListener("message", (event) => follow(event.data && event.data.href));
  addEventListener("message", (event) => {
    if (event.origin === location.origin) follow(event.data && event.data.href);
  });

  if (inWindow && document.querySelector("[data-login-result]")) {
    const told = { href: location.pathname + location.search };
    if (channel) channel.postMessage(told);
    if (window.opener) window.opener.postMessage(told, location.origin);
    window.close();
  }

  const size = () => {
    const width = 620;
    const height = 760;
    const left = Math.max(0, screenX + (outerWidth - width) / 2);
    const top = Math.max(0, screenY + (outerHeight - height) / 2);
    return `popup,width=${width},height=${height},left=${left},top=${top}`;
  };
  const wait = () => document.querySelectorAll("[data-waiting]").forEach((note) => { note.hidden = false; });
  // A browser that opens no window goes to the provider with the whole page.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-popup]");
    if (!link || inWindow || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const opened = window.open(link.href, name, size());
    if (!opened) return;
    event.preventDefault();
    opened.focus();
    wait();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-popup]") || inWindow) return;
    if (window.open("about:blank", name, size())) {
      form.target = name;
      wait();
    } else form.removeAttribute("target");
  });

  // Where a login ends whose link nobody knows any more, this tab may: at the login that was tried.
  try {
    const key = "jackfield-connect";
    const login = document.querySelector("[data-login]");
    const onTheWay = location.pathname.startsWith(`${base}/oauth/`);
    if (base && (login || !onTheWay)) sessionStorage.setItem(key, login ? login.dataset.login : base);
    const back = document.querySelector("[data-back-to-connect]");
    const known = sessionStorage.getItem(key);
    if (back && known && known.startsWith("/connect/")) {
      back.href = known;
      back.hidden = false;
    }
  } catch { /* Without storage there is a sentence that says where to go. */ }
})();
