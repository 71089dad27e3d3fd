// The explorer: its columns are inflated when it comes into view.
const explorer = $("#explorer");
if (explorer) {
  const about = JSON.parse($("#explorer-data").textContent);
  const grid = $("#grid"), dialog = $("#mask"), wanted = new Set();
  const PAGE = 32;
  let masks = null, list = [], shown = 0, at = -1;
  const inflated = async (name) => {
    const bytes = Uint8Array.from(atob($(`#blob-${name}`).textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  // Six planes of bytes, the lowest first.
  const whole = (bytes) => {
    const length = bytes.length / 6, found = new Float64Array(length);
    for (let plane = 5; plane >= 0; plane--) {
      for (let i = 0; i < length; i++) found[i] = found[i] * 256 + bytes[plane * length + i];
    }
    return found;
  };
  const load = async () => {
    const [named, counts, classed, pixels, areas, rows, maps] = await Promise.all(
      ["names", "counts", "classes", "pixels", "areas", "rows", "maps"].map(inflated));
    const lengths = new Uint16Array(counts.buffer), starts = new Uint32Array(lengths.length + 1);
    for (let i = 0; i < lengths.length; i++) starts[i + 1] = starts[i] + lengths[i];
    const pictured = new Uint32Array(rows.buffer), slots = new Map(), offsets = [];
    let offset = 0;
    pictured.forEach((row, slot) => {
      const [height, width] = about.shapes[about.shapes.length > 1 ? slot : 0];
      slots.set(row, slot);
      offsets.push(offset);
      offset += height * width;
    });
    masks = {
      names: JSON.parse(new TextDecoder().decode(named)), starts, slots, offsets,
      classes: classes <= 256 ? classed : new Uint16Array(classed.buffer),
      pixels: whole(pixels), areas: whole(areas),
      maps: classes < 256 ? maps : new Uint16Array(maps.buffer),
    };
  };
  const entriesOf = (mask) => {
    const found = [];
    for (let e = masks.starts[mask]; e < masks.starts[mask + 1]; e++) {
      found.push([masks.classes[e], masks.pixels[e] / masks.areas[mask]]);
    }
    return found;
  };
  const faint = (part) => 205 + part * 0.1;
  // Where there is no picture: the classes as a bar, in the order of their shares.
  const paintBar = (canvas, mask) => {
    canvas.width = 160; canvas.height = 30;
    const context = canvas.getContext("2d");
    context.fillStyle = "#8884";
    context.fillRect(0, 0, 160, 30);
    let left = 0;
    for (const [k, share] of entriesOf(mask).sort((a, b) => b[1] - a[1])) {
      context.fillStyle = colours[k];
      context.fillRect(left * 160, 0, Math.max(0.5, share * 160), 30);
      left += share;
    }
  };
  const paint = (canvas, mask, only = -1) => {
    const slot = masks.slots.get(mask);
    if (slot === undefined) { paintBar(canvas, mask); return; }
    const [height, width] = about.shapes[about.shapes.length > 1 ? slot : 0];
    canvas.width = width; canvas.height = height;
    const context = canvas.getContext("2d"), image = context.createImageData(width, height), start = masks.offsets[slot];
    const stripe = 4 * Math.max(1, Math.round(width / 120));
    for (let i = 0; i < width * height; i++) {
      const k = masks.maps[start + i];
      // Pixels without a class are hatched: some class may have any grey.
      const colour = k < classes ? rgb[k] : (i % width + Math.floor(i / width)) % stripe < stripe / 2 ? [245, 245, 245] : [60, 60, 60];
      const dim = only >= 0 && k !== only;
      for (let part = 0; part < 3; part++) image.data[4 * i + part] = dim ? faint(colour[part]) : colour[part];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };
  const main = () => [...wanted].at(-1) ?? -1;
  const update = () => {
    const low = $("#from").value / 100, high = $("#to").value / 100, how = $("#order").value, k = main();
    const asked = $("#file").value.toLowerCase();
    $("#share-of").textContent = k < 0 ? "share of any class" : `share of ${names[k]}`;
    list = [];
    for (let mask = 0; mask < masks.names.length; mask++) {
      if (asked && !masks.names[mask].toLowerCase().includes(asked)) continue;
      let share = 0, most = 0, rare = 0, met = 0, count = 0;
      for (let e = masks.starts[mask]; e < masks.starts[mask + 1]; e++) {
        const part = masks.pixels[e] / masks.areas[mask], one = masks.classes[e];
        if (wanted.has(one)) met += 1;
        if (one === k) share = part;
        if (part > most) most = part;
        if (how === "rare") rare += part / Math.max(shares[one], 1e-9);
        count += 1;
      }
      if (met < wanted.size) continue;
      if (k < 0) share = most;
      if (share < low || share > high) continue;
      list.push({ mask, share, count, rare });
    }
    const by = {
      most: (a, b) => b.share - a.share, least: (a, b) => a.share - b.share, rare: (a, b) => b.rare - a.rare,
      many: (a, b) => b.count - a.count, name: () => 0,
    }[how];
    list.sort((a, b) => by(a, b) || a.mask - b.mask);
    grid.replaceChildren();
    shown = 0;
    more();
    $("#found").textContent = `${list.length.toLocaleString("en")} of ${masks.names.length.toLocaleString("en")} masks`;
    for (const button of $$("#wanted button")) button.setAttribute("aria-pressed", String(wanted.has(Number(button.dataset.class))));
  };
  const more = () => {
    const next = list.slice(shown, shown + PAGE), k = main();
    next.forEach(({ mask, share, count }, place) => {
      const canvas = element("canvas"), index = shown + place;
      paint(canvas, mask);
      const name = masks.names[mask].split("/").at(-1);
      const value = k >= 0 ? percent(share) : `${count} cl.`;
      grid.append(element("button", { type: "button", title: masks.names[mask], onclick: () => open(index) }, canvas,
        element("span", { className: "caption" }, element("span", { textContent: name }), element("b", { textContent: value }))));
    });
    shown += next.length;
    $("#more").hidden = shown >= list.length;
  };
  const open = (index) => {
    if (index < 0 || index >= list.length) return;
    at = index;
    const { mask } = list[index], canvas = $("#mask-picture"), found = entriesOf(mask).sort((a, b) => b[1] - a[1]);
    const rest = 1 - found.reduce((sum, [, share]) => sum + share, 0);
    paint(canvas, mask);
    $("#mask-name").textContent = masks.names[mask];
    $("#mask-place").textContent = `${index + 1} of ${list.length}`;
    $("#legend").replaceChildren(...found.map(([k, share]) => element("li",
      {
        tabIndex: 0, onmouseenter: () => paint(canvas, mask, k), onmouseleave: () => paint(canvas, mask),
        onfocus: () => paint(canvas, mask, k), onblur: () => paint(canvas, mask),
      },
      swatch(k), element("span", { textContent: names[k] }), element("b", { textContent: percent(share) }))),
    ...(rest > 1e-9 ? [element("li", {}, element("span", { className: "mut", textContent: "no class (hatched)" }), element("b", { textContent: percent(rest) }))] : []));
    if (!dialog.open) dialog.showModal();
  };
  $("#previous").addEventListener("click", () => open(at - 1));
  $("#next").addEventListener("click", () => open(at + 1));
  $("#close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") open(at - 1);
    if (event.key === "ArrowRight") open(at + 1);
  });
  const toggle = (k) => {
    if (!wanted.delete(k)) wanted.add(k);
    ready().then(update);
  };
  const chip = (k) => element("button", { type: "button", "data-class": k, "aria-pressed": "false", onclick: () => toggle(k) }, swatch(k), names[k]);
  const few = order.length > 24 ? [...order.slice(0, 8), ...order.slice(-12)] : order;
  $("#wanted").append(...few.map(chip));
  if (few.length < order.length) {
    const others = order.filter((k) => !few.includes(k));
    const select = element("select", { "aria-label": "Another class" }, element("option", { value: "", textContent: `${others.length} more…` }),
      ...others.map((k) => element("option", { value: k, textContent: names[k] })));
    select.addEventListener("change", () => {
      if (select.value === "") return;
      const k = Number(select.value);
      if (!$(`#wanted button[data-class="${k}"]`)) select.before(chip(k));
      select.value = "";
      toggle(k);
    });
    $("#wanted").append(select);
  }
  for (const name of ["from", "to", "order", "file"]) {
    $(`#${name}`).addEventListener("input", () => { ready().then(update); });
  }
  $("#more").addEventListener("click", more);
  document.addEventListener("click", (event) => {
    const filter = event.target.closest("[data-filter]"), link = event.target.closest("a[data-mask]");
    if (filter) {
      wanted.clear();
      wanted.add(Number(filter.dataset.filter));
      ready().then(() => { update(); $("#masks").scrollIntoView(); });
    }
    if (link) {
      event.preventDefault();
      ready().then(() => {
        list = [{ mask: Number(link.dataset.mask), share: 0, count: 0, rare: 0 }];
        open(0);
      });
    }
  });
  dialog.addEventListener("close", () => { if (list.length === 1) update(); });
  let loading = null;
  const ready = () => loading ??= typeof DecompressionStream === "undefined"
    ? Promise.reject(new Error("no DecompressionStream"))
    : load().then(update);
  const begin = () => ready().catch(() => { $("#found").textContent = "This browser is too old for the explorer."; });
  if ("IntersectionObserver" in window) {
    const watching = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) { watching.disconnect(); begin(); }
    }, { rootMargin: "600px" });
    watching.observe(explorer);
  } else begin();
}
