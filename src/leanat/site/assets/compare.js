// Loads what two runs left beside their pages, and shows where they differ. A file cannot be fetched from file://, a script can.
"use strict";
(() => {
  const asked = new URLSearchParams(location.search), names = ["a", "b"].map(k => (asked.get(k) || "").trim());
  const form = document.getElementById("pick"), said = document.getElementById("said"), result = document.getElementById("result");
  const known = new Set([...document.querySelectorAll("#all option")].map(o => o.value)), loaded = {};
  form.elements.a.value = names[0];
  form.elements.b.value = names[1];
  const node = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);
  const table = (title, rows, heads) => {
    const whole = node("table", ""), head = whole.createTHead().insertRow(), body = whole.createTBody();
    for (const h of ["", ...heads]) head.append(node("th", h, { scope: "col" }));
    for (const [what, ...values] of rows) {
      const row = body.insertRow();
      row.append(node("th", what, { scope: "row" }));
      for (const v of values) row.append(node("td", v, { className: "text" }));
    }
    const box = node("div", "", { className: "wide", tabIndex: 0 });
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", title);
    box.append(whole);
    result.append(node("h2", title), box);
  };
  const both = (key, runs) => [...new Set(runs.flatMap(r => Object.keys(r[key])))].map(k => [k, ...runs.map(r => r[key][k] ?? "–")]);
  const chart = (title, column, runs) => {
    const lines = runs.map(r => (r.history[column] || []).map((y, i) => [r.history.epoch[i], y]).filter(p => p[1] !== null));
    const all = lines.flat();
    if (!all.length) return;
    const range = k => { const v = all.map(p => p[k]), low = Math.min(...v), high = Math.max(...v); return [low, high === low ? low + 1 : high]; };
    const [x0, x1] = range(0), [y0, y1] = range(1), ns = "http://www.w3.org/2000/svg";
    const x = v => 44 + (v - x0) / (x1 - x0) * 266, y = v => 140 - (v - y0) / (y1 - y0) * 125;
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("class", "chart");
    svg.setAttribute("viewBox", "0 0 320 170");
    svg.setAttribute("width", "320");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${title}: ${lines.map((l, i) => l.length ? `${runs[i].id} ends at ${l[l.length - 1][1]}` : "").join("; ")}`);
    const add = (tag, facts, text) => {
      const e = document.createElementNS(ns, tag);
      for (const [k, v] of Object.entries(facts)) e.setAttribute(k, v);
      e.textContent = text || "";
      svg.append(e);
    };
    for (const v of [y0, (y0 + y1) / 2, y1]) {
      add("path", { class: "g", d: `M44 ${y(v)}H310` });
      add("text", { class: "e", x: 39, y: y(v) + 4 }, Number(v.toPrecision(2)));
    }
    for (const v of [x0, x1]) add("text", { class: "m", x: x(v), y: 156 }, v);
    add("text", { class: "m", x: 177, y: 168 }, `${title}, by epoch`);
    lines.forEach((l, i) => add("polyline", { class: `l${i}`, points: l.map(p => `${x(p[0])},${y(p[1])}`).join(" ") }));
    result.append(svg);
  };
  const show = () => {
    const runs = names.map(n => loaded[n]);
    const spec = both("spec", runs);
    said.textContent = "Solid lines: the first; dashed: the second.";
    for (const [title, column] of [["loss", "loss"], ["clean accuracy", "test_clean"], ["accuracy under PGD", "test_robust"]]) chart(title, column, runs);
    const links = node("p", "");
    for (const n of names) links.append(node("a", n, { href: `runs/${n}.html` }), " ");
    result.prepend(links);
    const differ = spec.filter(r => r[1] !== r[2]);
    if (differ.length) table("Settings that differ", differ, names); else result.append(node("p", "All settings are the same, but for the seed."));
    table("Results", both("facts", runs), names);
    table("All settings", spec, names);
  };
  window.compared = run => { loaded[run.id] = run; };
  if (!names[0] && !names[1]) return;
  const strange = names.filter(n => !known.has(n));
  if (strange.length) { said.textContent = strange[0] ? `There is no run ${strange[0]} here.` : "Choose a second run."; return; }
  let left = new Set(names).size;
  for (const n of new Set(names)) {
    const script = document.createElement("script");
    script.src = `runs/${n}.js`;
    script.onload = () => { if (!--left) show(); };
    script.onerror = () => { said.textContent = `runs/${n}.js cannot be read.`; };
    document.body.append(script);
  }
})();
