// The table of classes: it sorts and filters, and shows a class beside it, or below on a phone.
const table = $("#table-classes");
if (table) {
  const body = table.tBodies[0], headings = [...table.tHead.rows[0].cells];
  const rows = [...body.rows], cards = $("#cards"), panel = $("#panel"), every = $("#all");
  const narrow = matchMedia("(max-width: 1080px)");
  let chosen = null, cardRow = null, group = "";
  const home = () => {
    for (const card of [...$$(".card", panel), ...(cardRow ? $$(".card", cardRow) : [])]) {
      card.open = false;
      cards.append(card);
    }
    cardRow?.remove();
    cardRow = null;
    for (const row of rows) {
      row.classList.remove("chosen");
      $("a", row).setAttribute("aria-expanded", "false");
    }
  };
  const show = (k) => {
    const again = k === chosen && cardRow !== null;
    home();
    if (again) { chosen = null; return; }
    const row = rows.find((one) => one.dataset.class === k), card = $(`#class-${k}`);
    if (!row || !card) return;
    chosen = k;
    row.classList.add("chosen");
    $("a", row).setAttribute("aria-expanded", "true");
    card.open = true;
    if (narrow.matches) {
      cardRow = element("tr", { className: "card-row" }, element("td", { colSpan: headings.length }, card));
      row.after(cardRow);
    } else {
      panel.append(card);
      panel.scrollTop = 0;
    }
  };
  const whole = () => { table.classList.add("whole"); every?.parentElement.remove(); };
  every?.addEventListener("click", whole);
  const sort = (heading, descending) => {
    whole();
    const column = heading.cellIndex, text = heading.dataset.kind === "text";
    const value = (row) => row.cells[column].dataset.value;
    const keyed = rows.map((row, place) => ({ row, place, value: text ? value(row) : Number(value(row)) }));
    keyed.sort((a, b) => {
      const by = text ? a.value.localeCompare(b.value, "en", { numeric: true }) : a.value - b.value;
      return (descending ? -by : by) || a.place - b.place;
    });
    if (narrow.matches) home();
    body.append(...keyed.map((one) => one.row));
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };
  for (const heading of headings) {
    $(".sort", heading)?.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      sort(heading, now ? now === "ascending" : heading.dataset.kind !== "text");
    });
  }
  const filter = () => {
    const asked = $("#filter").value.trim().toLowerCase();
    if (asked || group) whole();
    let left = 0;
    for (const row of rows) {
      const fits = (!group || row.dataset.group === group) && row.cells[0].dataset.value.includes(asked);
      row.hidden = !fits;
      left += fits;
    }
    $("#filtered").textContent = left === rows.length ? "" : `${left} of ${rows.length}`;
  };
  $("#filter").addEventListener("input", filter);
  for (const button of $$("#classes .seg button")) {
    button.addEventListener("click", () => {
      group = button.dataset.group;
      for (const other of $$("#classes .seg button")) other.setAttribute("aria-pressed", String(other === button));
      filter();
    });
  }
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-class]");
    if (!row) return;
    event.preventDefault();
    show(row.dataset.class);
  });
  body.addEventListener("keydown", (event) => {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const row = event.target.closest("tr[data-class]");
    if (!way || !row) return;
    let next = row[way];
    while (next && (!next.dataset.class || next.offsetParent === null)) next = next[way];
    if (!next) return;
    event.preventDefault();
    $("a", next).focus();
    if (!narrow.matches) show(next.dataset.class);
  });
  for (const link of $$(".maps a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      whole();
      show(link.dataset.class);
    });
  }
  const first = () => {
    const occurring = rows.filter((row) => row.dataset.group !== "absent");
    const row = every?.isConnected ? rows[0] : occurring.at(-1) ?? rows[0];
    if (row && !narrow.matches) show(chosen ?? row.dataset.class);
  };
  narrow.addEventListener("change", () => { home(); first(); });
  addEventListener("beforeprint", () => {
    home();
    for (const card of $$(".card", cards)) card.open = true;
  });
  addEventListener("afterprint", () => {
    for (const card of $$(".card", cards)) card.open = false;
    first();
  });
  // #sort=pixels or #sort=pixels.descending: a link to a sorted table. #class-3: one to a class.
  const byFragment = () => {
    const [key, way] = decodeURIComponent(location.hash).replace(/^#sort=/, "").split(".");
    const heading = location.hash.startsWith("#sort=") && headings.find((one) => one.dataset.key === key);
    if (heading) sort(heading, way === "descending");
    const asked = location.hash.match(/^#class-([0-9]+)$/);
    if (asked) { whole(); chosen = null; show(asked[1]); }
  };
  first();
  byFragment();
  addEventListener("hashchange", byFragment);
}
