// Tables that sort by a click on the lowest row of their head, and filter by words. Without it they are as they stand.
"use strict";
(() => {
  const number = cell => cell.dataset.v !== undefined ? Number(cell.dataset.v) : NaN;
  const sort = (table, column, up) => {
    const body = table.tBodies[0], rows = [...body.rows];
    const key = row => { const cell = row.cells[column], n = number(cell); return Number.isNaN(n) ? cell.textContent.trim() : n; };
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (typeof x === typeof y) return typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
      return typeof x === "number" ? -1 : 1;  // what has no number comes last
    };
    rows.sort((a, b) => {
      const strange = (typeof key(a) !== "number") - (typeof key(b) !== "number");
      return strange || (up ? 1 : -1) * order(a, b);
    });
    body.append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const head = table.tHead.rows[table.tHead.rows.length - 1];
    [...head.cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.title = "Sort by this column";
      button.addEventListener("click", () => {
        const up = cell.getAttribute("aria-sort") !== "ascending";
        for (const other of head.cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up);
      });
    });
    if (table.tBodies[0].rows.length < 6) continue;
    const label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("span");
    label.className = "filter";
    input.type = "search";
    shown.setAttribute("role", "status");
    label.append("Only rows with ", input, " ", shown);
    table.parentElement.before(label);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(word => text.includes(word));
        count += !row.hidden;
      }
      shown.textContent = words.length ? `${count} of ${table.tBodies[0].rows.length} rows` : "";
    });
  }
})();
