// What pages do where JavaScript runs. Everything hangs on data attributes; no page needs it.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // Moments: "3 minutes ago", with the exact time in the zone of the browser as a hint.
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat(root.lang || "en", { numeric: "auto" });
  const exact = new Intl.DateTimeFormat(root.lang || "en", { dateStyle: "medium", timeStyle: "medium" });
  const showTime = (element) => {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const seconds = (at - Date.now()) / 1000;
    element.title = `${exact.format(at)} (${element.dateTime})`;
    const unit = units.find(([, size]) => Math.abs(seconds) >= size);
    if (Math.abs(seconds) > 30 * 86400) element.textContent = exact.format(at);
    else if (unit) element.textContent = relative.format(Math.round(seconds / unit[1]), unit[0]);
    else element.textContent = relative.format(Math.round(seconds), "second");
  };
  const showTimes = (within) => within.querySelectorAll("time[data-time]").forEach(showTime);
  setInterval(() => showTimes(document), 30_000);

  // Buttons.
  const announce = (text) => {
    let place = document.getElementById("announce");
    if (!place) {
      place = document.createElement("div");
      place.id = "announce";
      place.className = "visually-hidden";
      place.setAttribute("role", "status");
      document.body.append(place);
    }
    place.textContent = text;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      const label = button.textContent;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
        announce("Copied");
      } catch {
        // Without permission: what is to be copied is marked, for the keyboard.
        const code = button.parentElement.querySelector("code");
        if (code) getSelection().selectAllChildren(code);
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    } else if (button.dataset.reveal !== undefined) {
      const input = document.getElementById(button.dataset.reveal);
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!shown));
    } else if (button.dataset.menu !== undefined) {
      const open = document.getElementById(button.dataset.menu).classList.toggle("open");
      button.setAttribute("aria-expanded", String(open));
    }
  });

  // A form that destroys something asks first, in a dialog of the page.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = form.dataset.confirm;
    if (!question || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = event.submitter || form.querySelector("[type=submit]");
    const dialog = document.createElement("dialog");
    const text = document.createElement("p");
    text.id = "confirm-text";
    text.textContent = question;
    dialog.setAttribute("aria-labelledby", text.id);
    const row = document.createElement("div");
    row.className = "row";
    const no = document.createElement("button");
    no.className = "button";
    no.textContent = "Cancel";
    const yes = document.createElement("button");
    yes.className = "button danger";
    yes.dataset.yes = "";
    yes.textContent = button.textContent;
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => {
      dialog.close();
      form.dataset.confirmed = "true";
      form.requestSubmit(button);
      delete form.dataset.confirmed;
    });
    row.append(yes, no);
    dialog.append(text, row);
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  }, true);

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "true";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; }));

  // Filters take effect when they are chosen.
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && form.dataset.auto !== undefined) form.requestSubmit();
  });

  // Charts.
  const charts = new Set();
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  // Colours are pairs; the canvas needs the one that counts now.
  const resolved = (name) => {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    probe.style.color = colour(name);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };
  const draw = (place) => {
    if (typeof uPlot === "undefined") return;
    const data = JSON.parse(place.dataset.chart);
    place.replaceChildren();
    if (data.at.length === 0) { place.textContent = "Nothing yet in this time."; return; }
    const line = resolved("--line");
    const text = resolved("--muted");
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const tone = { good: "--good", bad: "--bad", warn: "--warn", info: "--info", neutral: "--accent" };
    let stacked = data.series.map((one) => one.values);
    if (data.bars) {
      const sums = data.at.map(() => 0);
      stacked = stacked.map((values) => values.map((value, index) => (sums[index] += value || 0)));
    }
    const series = data.series.map((one, index) => {
      const stroke = resolved(tone[one.tone]);
      return {
        label: one.label,
        stroke,
        width: data.bars ? 0 : 2,
        fill: data.bars ? stroke : undefined,
        dash: data.bars || index === 0 ? undefined : [6, 2 + index * 2],
        paths: data.bars ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined,
        points: { show: !data.bars, size: 5 },
        value: (_, __, ___, at) => (at === null ? "–" : `${one.values[at] ?? "–"} ${data.unit}`),
      };
    });
    // The tallest is drawn first where bars stand on each other.
    const order = data.bars ? [...series.keys()].reverse() : [...series.keys()];
    const plot = new uPlot({
      width: place.clientWidth || 600,
      height: 180,
      cursor: { y: false },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : 1] } },
      axes: [axis, { ...axis, size: 56, values: (_, marks) => marks.map((mark) => `${mark}${data.unit && ` ${data.unit}`}`) }],
      series: [{}, ...order.map((index) => series[index])],
    }, [data.at, ...order.map((index) => stacked[index])], place);
    charts.add({ place, plot });
  };
  const drawAll = (within) => within.querySelectorAll("[data-chart]").forEach(draw);
  const redraw = () => {
    for (const { plot } of charts) plot.destroy();
    charts.clear();
    drawAll(document);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });

  const enhance = (within) => {
    showTimes(within);
    within.querySelectorAll("[data-reveal]").forEach((button) => { button.hidden = false; });
    drawAll(within);
  };
  enhance(document);
  document.addEventListener("htmx:afterSettle", (event) => enhance(event.target));
})();
