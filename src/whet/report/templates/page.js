"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const read = (id) => (byId(id) ? JSON.parse(byId(id).textContent) : null);
  const percent = (share) => (share === null ? "–" : (100 * share).toFixed(1) + " %");
  const svgOf = (name, attributes, parent) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    parent.append(made);
    return made;
  };

  // Copy the text of the block that a button stands in.
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const block = button.parentElement.querySelector("pre"), label = button.textContent;
      try {
        await navigator.clipboard.writeText(block.textContent);
      } catch (_) { // no clipboard for this page: select the text
        getSelection().selectAllChildren(block);
        if (!document.execCommand("copy")) return;
      }
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }

  // The threshold: everything is computed from the counts of predictions by class and confidence.
  const thresholds = () => {
    const given = read("chooser-data");
    if (!given) return;
    const { steps, shown } = given, chosen = given.chosen || shown;
    const slider = byId("chooser-slider"), which = byId("chooser-class"), goal = byId("chooser-goal");
    const curve = (part, k) => { // at every step: how many predictions are right and wrong from there on
      const right = new Array(steps + 2).fill(0), wrong = right.slice();
      for (const [of, step, r, w] of part.calls) if (k < 0 || of === k) { right[step] += r; wrong[step] += w; }
      for (let s = steps; s >= 0; s--) { right[s] += right[s + 1]; wrong[s] += wrong[s + 1]; }
      const support = k < 0 ? part.support.reduce((a, b) => a + b, 0) : part.support[k];
      const precision = right.map((r, s) => (r + wrong[s] ? r / (r + wrong[s]) : null));
      return { right, wrong, precision, recall: right.map((r) => (support ? r / support : null)),
        answered: right.map((r, s) => (r + wrong[s]) / part.samples) };
    };
    const wilson = (successes, trials) => { // 95 %
      if (!trials) return [0, 1];
      const z = 1.959964, p = successes / trials, base = 1 + (z * z) / trials;
      const middle = (p + (z * z) / (2 * trials)) / base;
      const half = (z / base) * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials));
      return [Math.max(0, middle - half), Math.min(1, middle + half)];
    };
    const exclusive = byId("chooser-unsure").dataset.words !== "";
    const lines = byId("chooser-lines"), left = 46, width = 650, top = 10, height = 150;
    const x = (step) => left + (width * step) / steps, y = (share) => top + height * (1 - share);
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      svgOf("line", { x1: left, x2: left + width, y1: y(share), y2: y(share) }, lines);
      svgOf("text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, lines).textContent = 100 * share + " %";
      svgOf("text", { x: x(share * steps), y: top + height + 20, "text-anchor": "middle" }, lines).textContent = 100 * share + " %";
    }
    const drawn = ["accent", "warn", ...(exclusive ? ["blue"] : [])].map((name, n) =>
      svgOf("path", { style: `stroke:var(--${name})`, "stroke-dasharray": ["", "7 3", "2 3"][n] }, lines));
    const now = svgOf("line", { class: "now", y1: top, y2: top + height }, lines);
    let found;
    const path = (values) => {
      let pen = "M";
      const words = [];
      values.slice(0, steps + 1).forEach((value, s) => {
        if (value === null) { pen = "M"; return; }
        words.push(pen + x(s).toFixed(1) + " " + y(value).toFixed(1));
        pen = "L";
      });
      return words.join("");
    };
    const move = () => {
      const s = +slider.value, right = found.right[s], wrong = found.wrong[s], ends = wilson(right, right + wrong);
      const say = (id, text) => { byId("chooser-" + id).textContent = text; };
      const text = percent(s / steps);
      say("threshold", text);
      slider.setAttribute("aria-valuetext", text);
      say("precision", percent(found.precision[s]));
      say("interval", percent(ends[0]) + " … " + percent(ends[1]));
      say("recall", percent(found.recall[s]));
      say("answered", exclusive ? percent(found.answered[s]) : found.answered[s].toFixed(2));
      if (exclusive && +which.value < 0) say("unsure", byId("chooser-unsure").dataset.words.replace("%", percent(1 - found.answered[s])));
      else say("unsure", "");
      say("wrong", String(wrong));
      say("right", byId("chooser-right").dataset.words.replace("%", String(right)));
      now.setAttribute("x1", x(s));
      now.setAttribute("x2", x(s));
    };
    const change = () => {
      found = curve(shown, +which.value);
      [found.precision, found.recall, found.answered].slice(0, drawn.length).forEach((values, n) => drawn[n].setAttribute("d", path(values)));
      byId("chooser-answer").textContent = "";
      move();
    };
    byId("chooser-find").addEventListener("click", () => {
      const reached = curve(chosen, +which.value).precision.findIndex((p, s) => s < steps && p !== null && p >= +goal.value / 100 - 1e-9);
      if (reached >= 0) { slider.value = reached; move(); }
      byId("chooser-answer").textContent = byId("chooser-answer").dataset[reached < 0 ? "none" : "found"];
    });
    slider.addEventListener("input", move);
    which.addEventListener("change", change);
    byId("chooser").hidden = false;
    change();
  };

  // The map: one stop of the tab key; arrow keys go to the next sample in their direction.
  const map = () => {
    const given = read("map-data");
    if (!given) return;
    const root = byId("map"), svg = root.querySelector("svg"), dots = [...svg.querySelectorAll(".dot")];
    let places = given.places[0], current = 0;
    const show = (i, focus) => {
      const one = given.points[i];
      dots[current].classList.remove("now");
      dots[current].tabIndex = -1;
      current = i;
      dots[i].classList.add("now");
      dots[i].tabIndex = 0;
      if (focus) dots[i].focus();
      const thumb = byId("map-thumb");
      if (thumb) thumb.style.backgroundPosition = `${-2 * given.tile * (one.cell % given.columns)}px ${-2 * given.tile * Math.floor(one.cell / given.columns)}px`;
      byId("map-text").textContent = one.text || "";
      byId("map-predicted").textContent = one.predicted;
      byId("map-predicted").className = one.right ? "right" : "wrong";
      byId("map-confidence").textContent = percent(one.confidence);
      byId("map-label").textContent = one.label;
      byId("map-id").textContent = one.id;
      byId("map-card").hidden = false;
    };
    const place = (n) => {
      places = given.places[n];
      dots.forEach((dot, i) => dot.setAttribute("transform", `translate(${places[i]})`));
    };
    svg.addEventListener("keydown", (event) => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
      if (!dx && !dy) return;
      event.preventDefault();
      const [x, y] = places[current];
      let best = -1, least = Infinity;
      places.forEach(([px, py], i) => {
        const along = (px - x) * dx + (py - y) * dy, across = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
        const cost = along + 2 * across;
        if (along > 0.5 && across <= 2 * along && cost < least) { best = i; least = cost; }
      });
      if (best >= 0) show(best, true);
    });
    dots.forEach((dot, i) => {
      dot.addEventListener("pointerenter", () => show(i));
      dot.addEventListener("click", () => show(i, true));
      dot.addEventListener("focus", () => { if (i !== current) show(i); });
    });
    const pressed = (group, act) => {
      const buttons = [...byId(group).querySelectorAll("button")];
      buttons.forEach((button, n) => button.addEventListener("click", () => {
        buttons.forEach((one) => one.setAttribute("aria-pressed", one === button));
        act(n);
      }));
    };
    pressed("map-places", place);
    pressed("map-colours", (n) => root.classList.toggle("by-right", n === 1));
    const keys = [...byId("map-key").querySelectorAll("button")];
    keys.forEach((key) => key.addEventListener("click", () => { // one class alone; once more: all
      const on = key.getAttribute("aria-pressed") !== "true";
      keys.forEach((one) => one.setAttribute("aria-pressed", on && one === key));
      root.classList.toggle("only", on);
      dots.forEach((dot, i) => dot.classList.toggle("kept", on && given.points[i].classes.includes(+key.dataset.class)));
    }));
    for (const one of document.querySelectorAll(".map-controls")) one.hidden = false;
    show(Math.max(0, given.points.findIndex((one) => !one.right)));
  };

  thresholds();
  map();
})();
