"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  let board = JSON.parse(byId("board-data").textContent);
  let words = board.words;
  const chosen = new Set();
  const sorting = { key: "started", up: false };
  // Colours that colour-blind people tell apart (Okabe and Ito 2008); a dash pattern as well from the ninth on.
  const colours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8f2c", "#999999"];

  const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
  const make = (name, attributes = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key in made && key !== "list") made[key] = value; else made.setAttribute(key, value);
    }
    made.append(...inside.filter((one) => one !== null && one !== ""));
    return made;
  };
  const entryOf = (id) => board.entries.find((one) => one.id === id);
  const short = (id) => id.split("/").pop();
  const colourOf = (id) => colours[[...chosen].indexOf(id) % colours.length];
  const dot = (id) => {
    const made = make("i", { className: "dot" });
    made.style.background = colourOf(id);
    return made;
  };

  // --- the table -------------------------------------------------------------------------------------------------------
  const selects = { kind: "kind_shown", task: "task", data: "data", state: "state_shown" };
  const options = () => {
    for (const [id, key] of Object.entries(selects)) {
      const select = byId(id), before = select.value;
      const values = [...new Set(board.entries.map((one) => one[key]).filter(Boolean))].sort();
      select.replaceChildren(make("option", { value: "" }, `${select.getAttribute("aria-label")}: ${words.all}`),
        ...values.map((value) => make("option", { value }, value)));
      select.value = values.includes(before) ? before : "";
      select.hidden = values.length < 2;
    }
    byId("inner").parentElement.hidden = !board.entries.some((one) => one.parent);
  };
  const value = (one) => {
    const key = sorting.key;
    if (key === "score") return one.score ? one.score.merit : -Infinity;
    return one[key] === null || one[key] === undefined ? (typeof one[key] === "number" ? -Infinity : "") : one[key];
  };
  const matching = () => {
    const terms = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean), inner = byId("inner").checked;
    const found = board.entries.filter((one) => {
      if (one.parent && !inner) return false;
      for (const [id, key] of Object.entries(selects)) if (byId(id).value && one[key] !== byId(id).value) return false;
      const text = [one.id, one.kind_shown, one.network, one.data, one.task, one.recipe, ...one.methods].join(" ").toLowerCase();
      return terms.every((term) => text.includes(term));
    });
    return found.sort((a, b) => {
      const x = value(a), y = value(b), order = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
      return (sorting.up ? order : -order) || a.id.localeCompare(b.id);
    });
  };
  const bar = (low, middle, high, zero = null) => {
    const box = make("div", { className: "bar" }), left = (share) => `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;
    const span = make("i"), mark = make("b");
    if (low !== null) { span.style.left = left(low); span.style.right = left(1 - high); box.append(span); }
    mark.style.left = left(middle);
    box.append(mark);
    if (zero !== null) { const line = make("u"); line.style.left = left(zero); box.append(line); }
    return box;
  };
  const day = (time) => new Date(time).toLocaleString(document.documentElement.lang, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const row = (one) => {
    const tick = make("input", { type: "checkbox", checked: chosen.has(one.id), disabled: !one.curves });
    tick.setAttribute("aria-label", one.id);
    tick.addEventListener("change", () => { 
      chosen[tick.checked ? "add" : "delete"](one.id);
      show();
      const again = [...document.querySelectorAll("#results input")].find((other) => other.getAttribute("aria-label") === one.id);
      if (again) again.focus(); // the rows are new
    });
    const name = one.report ? make("a", { href: one.report, target: "_blank", rel: "noopener" }, short(one.id)) : make("span", {}, short(one.id));
    const above = one.parent ? "" : one.id.slice(0, -short(one.id).length), prefix = above ? make("span", { className: "muted" }, above) : "";
    const score = one.score, gain = one.gain;
    const parts = (...texts) => texts.filter(Boolean).join(" · ");
    const sub = [parts(one.kind_shown, one.parent ? fill(words.inside, { a: one.parent }) : "", one.best_run ? fill(words.best, { a: short(one.best_run) }) : "",
      one.seed === null ? "" : `${words.seed} ${one.seed}`), one.recipe ? make("span", { className: "opt" }, ` · ${one.recipe}`) : ""];
    const tag = one.state === "finished" ? null : make("span", { className: `tag ${one.state}` }, one.state_shown);
    const made = make("tr", { className: `${one.parent ? "inner" : ""} ${chosen.has(one.id) ? "chosen" : ""}` },
      make("td", { className: "pick" }, tick),
      make("td", {},
        make("div", { className: "name" }, chosen.has(one.id) ? dot(one.id) : "", prefix, name, " ", tag),
        make("div", { className: "sub" }, ...sub),
        one.failure ? make("div", { className: "sub wrong" }, one.failure) : null,
        make("div", { className: "sub narrow" }, parts(one.network, one.data, one.time, day(one.started)))),
      make("td", { className: "n" },
        score ? make("b", {}, score.text) : "", score ? make("div", { className: "sub" }, `${score.title}, ${score.part_shown}`) : null,
        gain ? make("div", { className: `sub ${gain.verdict === "helps" ? "right" : gain.verdict === "hurts" ? "wrong" : ""}`, title: `${gain.interval} ${gain.unit}` }, `${gain.mean} (${gain.interval})`) : null),
      make("td", { className: "opt" }, score && board.metrics[score.metric].share ? bar(score.low, score.value, score.high) : ""),
      make("td", { className: "opt" }, one.network), make("td", { className: "opt" }, one.data),
      make("td", { className: "n opt" }, one.time), make("td", { className: "n opt" }, day(one.started)));
    if (score && score.interval) made.children[3].title = `${words.interval}: ${score.interval}`;
    return made;
  };
  const table = () => {
    const rows = matching();
    byId("results").tBodies[0].replaceChildren(...(rows.length ? rows.map(row) : [make("tr", {}, make("td", { colSpan: 8, className: "muted" }, words.nothing))]));
    byId("count").textContent = fill(words.shown, { n: rows.length }) + (chosen.size ? ` · ${fill(words.chosen, { n: chosen.size })}` : "");
    for (const button of document.querySelectorAll("[data-sort]")) {
      if (button.dataset.sort === sorting.key) button.setAttribute("aria-sort", sorting.up ? "ascending" : "descending"); else button.removeAttribute("aria-sort");
    }
  };

  // --- the curves ------------------------------------------------------------------------------------------------------
  const svg = (name, attributes, parent, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.textContent = text;
    parent.append(made);
    return made;
  };
  const ticks = (low, high) => {
    const step = 10 ** Math.floor(Math.log10((high - low) / 3 || 1)), fit = [1, 2, 5, 10].map((k) => k * step).find((k) => (high - low) / k <= 5);
    const found = [];
    for (let at = Math.ceil(low / fit) * fit; at <= high + 1e-9; at += fit) found.push(Math.abs(at) < 1e-12 ? 0 : at);
    return found;
  };
  const chart = (title, lines, share) => {
    const width = 520, height = 260, left = 62, right = 10, top = 8, bottom = 34;
    const points = lines.flatMap((line) => line.points), figure = make("div", {}, make("h3", {}, title));
    if (!points.length) return figure;
    const ys = points.map((point) => point[1]).sort((p, q) => p - q);
    const far = Math.max(...points.map((point) => point[0]), 1e-6);
    let low = ys[0], high = share ? ys[ys.length - 1] : ys[Math.floor(0.99 * (ys.length - 1))];
    const pad = 0.06 * (high - low || Math.abs(high) || 1);
    low -= pad; high += pad;
    const x = (at) => left + ((width - left - right) * at) / far, y = (at) => top + (height - top - bottom) * (1 - (Math.min(at, high) - low) / (high - low));
    const box = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title }, figure);
    for (const at of ticks(low, high)) {
      svg("line", { x1: left, x2: width - right, y1: y(at), y2: y(at) }, box);
      svg("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, box, share ? `${+(100 * at).toFixed(1)} %` : String(+at.toPrecision(3)));
    }
    for (const at of ticks(0, far)) svg("text", { x: x(at), y: height - 14, "text-anchor": "middle" }, box, String(+at.toPrecision(3)));
    svg("text", { x: width - right, y: height - 1, "text-anchor": "end" }, box, words.epoch);
    for (const line of lines) {
      const path = line.points.map((point, n) => `${n ? "L" : "M"}${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}`).join("");
      const drawn = svg("path", { d: path, style: `stroke:${line.colour}`, "stroke-dasharray": line.dash }, box);
      svg("title", {}, drawn, line.name);
      if (share && line.points.length < 40) for (const point of line.points) svg("circle", { cx: x(point[0]), cy: y(point[1]), r: 2.5, style: `fill:${line.colour}` }, box);
    }
    return figure;
  };
  const curves = () => {
    const runs = [...chosen].map(entryOf).filter((one) => one && one.curves);
    if (!runs.length) { byId("curves").replaceChildren(make("p", { className: "muted" }, words.no_curves)); return; }
    const named = runs.map((one, n) => ({ one, name: one.id, colour: colourOf(one.id), dash: ["", "6 3", "2 3"][Math.floor(n / colours.length) % 3] }));
    const metric = runs[0].curves.metric, known = board.metrics[metric];
    const checked = named.filter((line) => line.one.curves.metric === metric);
    const legend = make("div", { className: "legendline" },
      ...named.map((line) => make("span", {}, dot(line.one.id), line.name, line.one.score ? ` ${line.one.score.text}` : "")));
    byId("curves").replaceChildren(
      make("div", { className: "charts" },
        known ? chart(fill(words.validation, { metric: known.title }), checked.map((line) => ({ ...line, points: line.one.curves.checks })), known.share) : "",
        chart(words.loss, named.map((line) => ({ ...line, points: line.one.curves.loss })), false)),
      legend, checked.length < named.length ? make("p", { className: "muted small" }, words.other_metric) : "");
  };

  // --- two of them -----------------------------------------------------------------------------------------------------
  const comparable = () => board.entries.filter((one) => one.score && (one.kind === "training" || one.kind === "ensemble"));
  const pickers = () => {
    const runs = comparable(), [first, second] = [...chosen].filter((id) => runs.some((one) => one.id === id));
    for (const [id, proposed, n] of [["a", first, 0], ["b", second, 1]]) {
      const select = byId(id), before = select.value;
      select.replaceChildren(...runs.map((one) => make("option", { value: one.id }, `${one.id} · ${one.score.text}`)));
      select.value = select.dataset.touched && runs.some((one) => one.id === before) ? before : proposed || (runs[n] || runs[0] || { id: "" }).id;
    }
  };
  const shown = (number, share, sign = false) => {
    const text = share ? (100 * number).toFixed(1) : number.toFixed(3);
    return sign ? (number < 0 ? "" : "+") + text.replace("-", "−") : text;
  };
  const opposite = { helps: "hurts", hurts: "helps" };
  const verdict = (a, b) => {
    const note = (text) => make("p", {}, text);
    const all = board.samples.find((one) => one.groups.some((group) => group.runs.includes(a.id)) || one.left_out.includes(a.id));
    const together = all && (all.groups.some((group) => group.runs.includes(b.id)) || all.left_out.includes(b.id));
    if (!together) return [note(words.other_samples)];
    const place = (id) => all.groups.findIndex((group) => group.runs.includes(id)), i = place(a.id), j = place(b.id);
    if (i === j && i >= 0) return [note(words.same_recipe)];
    const found = all.pairs[`${Math.min(i, j)}-${Math.max(i, j)}`];
    if (!found) return [note(fill(words.no_pair, { command: `whet compare ${a.id} ${b.id}` }))];
    let [mean, low, high, judged, seeds] = found;
    if (i > j) { [mean, low, high] = [-mean, -high, -low]; judged = opposite[judged] || judged; }
    const metric = board.metrics[all.metric], share = metric.share;
    const reach = 1.15 * Math.max(Math.abs(low), Math.abs(high), 1e-3), at = (end) => 0.5 + (0.5 * end) / reach;
    const kind = judged === "hurts" ? "hurts" : judged === "helps" ? "" : "unclear";
    const big = make("div", { className: `big ${kind}` }, shown(mean, share, true), share ? make("small", {}, ` ${words.points}`) : "");
    const name = (n) => all.groups[n].name, ends = { low: shown(low, share, true), high: shown(high, share, true) };
    return [
      make("div", { className: "hero" }, big, make("div", { className: "range" },
        make("div", {}, make("b", {}, fill(words.minus, { a: name(i), b: name(j) })), ` · ${metric.title} · ${words.verdicts[judged]}`),
        bar(at(low), at(mean), at(high), 0.5),
        make("div", { className: "muted small" }, `${words.interval}: ${fill(words.between, ends)}`))),
      make("p", { className: "muted small" }, [fill(words.paired, { n: all.samples, part: words[all.part], seeds }),
        all.smaller ? words.smaller : "", judged === "not assessed" ? words.too_few : words.one_of_many].filter(Boolean).join(" ")),
    ];
  };
  const pair = () => {
    const a = entryOf(byId("a").value), b = entryOf(byId("b").value), place = byId("pair");
    if (!a || !b || a === b) { place.replaceChildren(); return; }
    const only = (one, other) => one.methods.filter((method) => !other.methods.includes(method)).join(", ") || words.none;
    const lines = [["", make("b", {}, a.id), make("b", {}, b.id)],
      ...[["score", (one) => `${one.score.text}${one.score.interval ? ` (${one.score.interval})` : ""}`], ["network", (one) => one.network], ["weights", (one) => one.weights],
        ["data", (one) => one.data], ["recipe", (one) => one.recipe], ["seed", (one) => String(one.seed ?? "")], ["time", (one) => one.time]]
        .map(([key, of]) => [words[key], of(a), of(b)]).filter(([, x, y]) => x || y),
      [words.only, only(a, b), only(b, a)]];
    place.replaceChildren(...verdict(a, b), make("div", { className: "versus" },
      ...lines.flatMap(([title, x, y]) => [make("span", { className: "muted" }, title), make("span", {}, x), make("span", {}, y)])));
  };

  const show = () => { table(); curves(); pickers(); pair(); };
  const begin = () => { options(); show(); };
  for (const id of ["find", "inner", ...Object.keys(selects)]) byId(id).addEventListener("input", table);
  for (const id of ["a", "b"]) byId(id).addEventListener("input", () => { byId(id).dataset.touched = "yes"; pair(); });
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      sorting.up = sorting.key === button.dataset.sort ? !sorting.up : !["score", "seconds", "started"].includes(button.dataset.sort);
      sorting.key = button.dataset.sort;
      table();
    });
  }
  // At first: the newest runs of the data and metric of the newest one.
  const trained = board.entries.filter((one) => one.curves), first = trained.find((one) => !one.parent) || trained[0];
  if (first) for (const one of trained.filter((one) => one.data === first.data && one.parent === first.parent).slice(0, 4)) chosen.add(one.id);
  begin();

  if (board.live) {
    let version = board.version;
    const look = async () => {
      try {
        const answer = await fetch(`board.json?version=${encodeURIComponent(version)}`, { cache: "no-store" });
        if (answer.status === 200) {
          board = await answer.json();
          words = board.words;
          version = board.version;
          begin();
        }
        byId("live").textContent = `· ${fill(words.updated, { a: new Date().toLocaleTimeString(document.documentElement.lang) })}`;
      } catch (_) {
        byId("live").textContent = `· ${words.lost}`;
      }
      setTimeout(look, 3000);
    };
    setTimeout(look, 3000);
  }
})();
