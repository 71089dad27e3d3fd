"use strict";
(() => {
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? cell.dataset.value : cell.textContent.trim();
  };
  const sort = (table, heading, descending) => {
    const column = heading.cellIndex;
    const numeric = heading.dataset.kind === "number";
    const keyed = [...table.tBodies[0].rows].map((row, place) => ({ row, place, value: valueOf(row, column) }));
    keyed.sort((a, b) => {
      // What has no value stays at the end, whichever way.
      if ((a.value === "") !== (b.value === "")) return a.value === "" ? 1 : -1;
      const order = numeric ? Number(a.value) - Number(b.value)
        : a.value.localeCompare(b.value, undefined, { numeric: true });
      return (descending ? -order : order) || a.place - b.place;
    });
    table.tBodies[0].append(...keyed.map((item) => item.row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const now = heading.getAttribute("aria-sort");
        sort(table, heading, now ? now === "ascending" : heading.dataset.kind === "number");
      });
    }
  }
  // #sort=TABLE.COLUMN or #sort=TABLE.COLUMN.descending: a link to a sorted table.
  const byFragment = () => {
    const [table, column, way] = decodeURIComponent(location.hash).replace(/^#sort=/, "").split(".");
    const found = location.hash.startsWith("#sort=") && document.getElementById(table);
    if (!found || !("sortable" in found.dataset)) return;
    const heading = [...found.tHead.rows[0].cells].find((cell) => cell.dataset.key === column);
    if (heading) sort(found, heading, way === "descending");
  };
  byFragment();
  addEventListener("hashchange", byFragment);
  for (const snippet of navigator.clipboard ? document.querySelectorAll(".snippet") : []) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () =>
      navigator.clipboard.writeText(snippet.querySelector("code").textContent)
        .then(() => { button.textContent = "Copied"; }, () => { button.textContent = "Select and copy"; }));
    snippet.append(button);
  }
})();
