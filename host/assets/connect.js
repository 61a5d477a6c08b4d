// Jackfield.connect({ link, onSuccess, onExit, onEvent }): a connect link as an overlay of your page.
// Types: /connect.d.ts. Documentation: docs/embedding.md.
(() => {
  "use strict";

  const WORDS = {
    en: ["Connect an account", "Close", "This page cannot be shown here", "The server does not let pages of this origin show it:", "Open it in a new tab"],
    de: ["Konto verbinden", "Schließen", "Diese Seite kann hier nicht gezeigt werden", "Der Server lässt Seiten dieser Herkunft sie nicht zeigen:", "In neuem Tab öffnen"],
    fr: ["Connecter un compte", "Fermer", "Cette page ne peut pas s’afficher ici", "Le serveur ne permet pas aux pages de cette origine de l’afficher :", "Ouvrir dans un nouvel onglet"],
  };
  const LATE = 8000;
  const CSS = `
    #jackfield-connect, #jackfield-connect * { all: revert; box-sizing: border-box; }
    #jackfield-connect { position: fixed; inset: 0; width: 100%; height: 100%; max-width: none; max-height: none;
      margin: 0; padding: 2rem 1rem; border: 0; background: rgb(0 0 0 / .55); color: CanvasText; overflow: hidden; color-scheme: light dark; }
    #jackfield-connect::backdrop { background: transparent; }
    #jackfield-connect > div { position: relative; width: 100%; max-width: 34rem; height: 100%; max-height: 46rem; margin: 0 auto;
      border-radius: .75rem; overflow: hidden; background: Canvas; box-shadow: 0 1rem 3rem rgb(0 0 0 / .4); font: 1rem/1.5 system-ui, sans-serif; }
    #jackfield-connect iframe { display: block; width: 100%; height: 100%; border: 0; background: Canvas; }
    #jackfield-connect button { position: absolute; top: .5rem; right: .5rem; width: 2.75rem; height: 2.75rem; border: 0; border-radius: 50%;
      font: 1.5rem/1 system-ui, sans-serif; color: CanvasText; background: color-mix(in srgb, Canvas 85%, transparent); cursor: pointer; }
    #jackfield-connect button:focus-visible { outline: 3px solid Highlight; outline-offset: -3px; }
    #jackfield-connect [role=alert] { position: absolute; inset: 0; padding: 4rem 2rem 2rem; background: Canvas; overflow: auto; }
    @media (max-width: 40rem) {
      #jackfield-connect { padding: 0; }
      #jackfield-connect > div { max-width: none; max-height: none; border-radius: 0; }
    }`;

  let open;

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // A constructed sheet, since a policy of the page may forbid style elements.
  const addStyles = () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return () => { document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet); };
  };

  // What integrators do wrong in their functions is theirs to see, and stops nothing here.
  const tell = (listener, what) => {
    if (typeof listener !== "function") return;
    try { listener(what); } catch (error) { setTimeout(() => { throw error; }); }
  };

  const connect = ({ link, onSuccess, onExit, onEvent } = {}) => {
    const url = URL.canParse(link) ? new URL(link) : {};
    if (!/^https?:$/.test(url.protocol) || !/\/connect\/./.test(url.pathname)) {
      throw new TypeError("Jackfield.connect: link must be the url of a connect link");
    }
    if (open) open.close();

    const [title, close, refused, why, elsewhere] = WORDS[(document.documentElement.lang || navigator.language).slice(0, 2)] || WORDS.en;
    const frame = make("iframe", { title, src: url.href, allow: "clipboard-write" });
    const button = make("button", { type: "button", "aria-label": close, title: close }, "×");
    const box = make("div", {}, frame, button);
    const dialog = make("dialog", { id: "jackfield-connect", "aria-modal": "true", "aria-label": title }, box);
    const before = document.activeElement;
    const scrolling = document.documentElement.style.overflow;
    const removeStyles = addStyles();
    let connected = false;
    let ready = false;
    let reason;
    let late;

    const shut = () => {
      if (open !== handle) return;
      open = undefined;
      clearTimeout(late);
      removeEventListener("message", hear);
      dialog.close();
      dialog.remove();
      removeStyles();
      document.documentElement.style.overflow = scrolling;
      if (before && before.isConnected) before.focus();
      const exit = reason ? { connected, reason } : { connected };
      tell(onEvent, { type: "exit", ...exit });
      tell(onExit, exit);
    };
    const handle = Object.freeze({ close: shut });

    // Only the page of the link, in this very frame, is listened to.
    const hear = ({ origin, source, data }) => {
      if (origin !== url.origin || source !== frame.contentWindow || !data || data.jackfield !== 1) return;
      if (data.type === "ready") {
        ready = true;
        reason = undefined;
        clearTimeout(late);
        tell(onEvent, { type: "ready", page: String(data.page || "") });
      } else if (data.type === "connected") {
        connected = true;
        const connection = { connectionId: String(data.connectionId), connector: String(data.connector) };
        tell(onEvent, { type: "connected", ...connection });
        tell(onSuccess, connection);
      } else if (data.type === "disconnected") {
        tell(onEvent, { type: "disconnected", connectionId: String(data.connectionId), connector: String(data.connector) });
      } else if (data.type === "closed") {
        reason = String(data.reason);
        tell(onEvent, { type: "closed", reason });
      } else if (data.type === "close") {
        shut();
      }
    };

    addEventListener("message", hear);
    // Each page of the link is greeted, and so learns whom it may answer.
    frame.addEventListener("load", () => {
      frame.contentWindow.postMessage({ jackfield: 1, type: "hello" }, url.origin);
      if (ready) return;
      clearTimeout(late);
      late = setTimeout(() => {
        const away = make("a", { href: String(link), target: "_blank", rel: "noopener" }, elsewhere);
        const text = make("div", { role: "alert" }, make("h2", {}, refused), make("p", {}, `${why} ${location.origin}`), make("p", {}, away));
        box.insertBefore(text, button);
        reason = "refused";
        tell(onEvent, { type: "refused", origin: location.origin });
      }, LATE);
    });
    button.addEventListener("click", shut);
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); shut(); });
    // Beside the page is out of it.
    dialog.addEventListener("click", (event) => { if (event.target === dialog) shut(); });

    open = handle;
    document.body.append(dialog);
    document.documentElement.style.overflow = "hidden";
    dialog.showModal();
    frame.focus();
    return handle;
  };

  window.Jackfield = Object.freeze({ connect });
})();
