// Adds to the page what it does not need: the values under the pointer, and a choice of light or dark.
"use strict";
(() => {
  const make = (name, parent, type) => {
    const element = document.createElement(type || "div");
    element.className = name;
    parent.append(element);
    return element;
  };

  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const button = make("theme", document.querySelector("nav"), "button");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.type = "button";
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  dark.addEventListener("change", name);
  name();

  // The points of a line, from 0 to 1 over the chart.
  const pointsOf = (path) => {
    const numbers = path.getAttribute("d").match(/-?[\d.]+/g).map(Number);
    const points = [];
    for (let i = 0; i + 1 < numbers.length; i += 2) points.push([numbers[i] / 10000, numbers[i + 1] / 10000]);
    return points;
  };
  const nearest = (points, x) => points.reduce((best, p) => (Math.abs(p[0] - x) < Math.abs(best[0] - x) ? p : best));

  for (const plot of document.querySelectorAll(".plot")) {
    const d = plot.dataset, x0 = +d.x0, x1 = +d.x1, y0 = +d.y0, y1 = +d.y1;
    const value = (y) => (d.log === "1" ? y0 * Math.pow(y1 / y0, 1 - y) : y0 + (1 - y) * (y1 - y0));
    const write = (v) => (d.percent === "1" ? (100 * v).toFixed(1) + " %" : String(+v.toPrecision(4)));
    let lines = null, cursor = null, tip = null;
    const hide = () => { if (cursor) { cursor.remove(); tip.remove(); cursor = null; } };
    const show = (event) => {
      const box = plot.getBoundingClientRect();
      const x = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      lines = lines || [...plot.querySelectorAll("path.line")].map((path) => ({
        label: path.dataset.label, points: pointsOf(path), tone: getComputedStyle(path).getPropertyValue("--tone"),
      }));
      if (!cursor) { cursor = make("cursor", plot); tip = make("tip", plot); }
      tip.replaceChildren();
      let at = null;
      for (const line of lines) {
        const first = line.points[0][0], last = line.points[line.points.length - 1][0];
        if (x < first - 0.02 || x > last + 0.02) continue; // another stage's
        const [px, py] = nearest(line.points, x);
        if (at === null || Math.abs(px - x) < Math.abs(at - x)) at = px;
        const row = make("row", tip), swatch = make("swatch", row, "i");
        swatch.style.background = line.tone;
        row.append(line.label + " ");
        make("", row, "b").textContent = write(value(py));
      }
      if (at === null) { hide(); return; }
      const head = document.createElement("div");
      head.textContent = "step " + Math.round(x0 + at * (x1 - x0));
      tip.prepend(head);
      cursor.style.left = 100 * at + "%";
      tip.style.left = at < 0.5 ? `calc(${100 * at}% + .5rem)` : "auto";
      tip.style.right = at < 0.5 ? "auto" : `calc(${100 * (1 - at)}% + .5rem)`;
    };
    plot.addEventListener("pointermove", show);
    plot.addEventListener("pointerdown", show);
    plot.addEventListener("pointerleave", hide);
  }
})();
