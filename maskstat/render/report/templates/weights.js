// Weights: PyTorch's by batch size, and the slider with what a power costs.
const listing = /^\s+[\d.e+-]+,\s+# \d/;
const paste = (code, weights) => {
  const lines = code.textContent.split("\n"), at = lines.findIndex((line) => listing.test(line));
  if (at < 0) return;
  const indent = lines[at].match(/^\s+/)[0];
  const numbers = weights.map((weight) => `${Number(weight.toPrecision(6))},`);
  const width = Math.max(...numbers.map((text) => text.length));
  lines.splice(at, weights.length, ...numbers.map((text, k) => `${indent}${text.padEnd(width)}  # ${k} ${names[k]}`));
  code.textContent = lines.join("\n");
};
for (const select of $$(".batch")) {
  select.addEventListener("change", () => {
    const weights = data.byBatch[select.value];
    if (!weights) return;
    for (const other of $$(".batch")) other.value = select.value;
    for (const block of $$('.code[data-scheme="equal-cost"]')) {
      const code = $("code", block);
      if ($(".batch", block)) paste(code, weights);
      code.textContent = code.textContent.replace(/(batch.size[= ])\d+/, `$1${select.value}`);
    }
  });
}
const slider = $("#power");
if (slider && classes) {
  const occurring = shares.map((share, k) => k).filter((k) => shares[k] > 0);
  const largest = Math.max(...shares);
  const wrong = -Math.log(1e-7 / Math.max(1, classes - 1)), right = -Math.log1p(-1e-7);
  const weigh = (power) => {
    const raw = shares.map((share) => share > 0 ? (largest / share) ** power : 1);
    const average = shares.reduce((sum, share, k) => sum + share * raw[k], 0);
    return raw.map((weight) => weight / average);
  };
  const strip = $("#s-live");
  const label = (name, at, width, attributes) => {
    if (name.length * 7.4 + 6 < width * strip.clientWidth / 100) {
      strip.append(drawn("text", { x: `${at + width / 2}%`, y: 21.5, "text-anchor": "middle", ...attributes }, name));
    }
  };
  const redraw = () => {
    const power = Number(slider.value), weights = weigh(power);
    const costs = occurring.map((k) => wrong - (wrong - right) * shares[k] * weights[k]);
    const spread = Math.max(...costs) / Math.min(...costs) - 1;
    const squares = shares.reduce((sum, share, k) => sum + share * weights[k] ** 2, 0);
    const effective = squares < 1 + 1e-9 ? 1 : 1 / squares;
    const parts = occurring.map((k) => shares[k] * weights[k]), used = occurring.map((k) => weights[k]);
    const ratio = Math.max(...parts) / Math.min(...parts);
    $("#power-now").textContent = power.toFixed(2);
    $("#k-loss").textContent = `${number(ratio)} : 1`;
    $("#k-effective").textContent = percent(effective);
    $("#k-spread").textContent = spread < 1e-9 ? "0%" : percent(spread);
    $("#k-weights").textContent = number(Math.max(...used) / Math.min(...used));
    const you = $("#you");
    you.setAttribute("cx", `${Math.max(0, Math.log(ratio) / Math.log(data.most)) * 98.5 + 0.75}%`);
    you.setAttribute("cy", 12 + 176 * (1 - effective));
    you.setAttribute("visibility", "visible");
    strip.replaceChildren();
    let at = 0, rest = 0, merged = 0;
    for (const k of order) {
      const width = 100 * shares[k] * weights[k];
      if (order.length > 40 && width < 0.35) { rest += width; merged += 1; continue; }
      const part = drawn("rect", { class: "part", x: `${at}%`, width: `${width}%`, height: 34, fill: colours[k] });
      part.append(drawn("title", {}, `${names[k]}: ${percent(width / 100)}`));
      strip.append(part);
      label(names[k], at, width, { fill: inkOn(k) });
      at += width;
    }
    if (merged) {
      strip.append(drawn("rect", { class: "part rest", x: `${at}%`, width: `${rest}%`, height: 34 }));
      label(`${merged} more classes`, at, rest, { class: "of-rest" });
    }
    for (const row of $$("#table-prices tr[data-power]")) {
      row.classList.toggle("near", Math.abs(Number(row.dataset.power) - power) < 0.005);
    }
  };
  slider.addEventListener("input", redraw);
  addEventListener("resize", redraw);
  redraw();
  $("#use").addEventListener("click", () => {
    const power = Number(slider.value), weights = weigh(power), tabs = $(".tabs");
    for (const old of $$(".c9-0, .c9-1, .c9-2, .c9-3", tabs)) old.remove();
    for (const block of $$('.code[data-scheme="sqrt"]', tabs)) {
      const made = block.cloneNode(true), code = $("code", made);
      made.className = `code c9-${block.dataset.framework}`;
      made.dataset.scheme = "power";
      $(".what", made).textContent = `Power ${power} of the inverse frequency, average pixel 1`;
      paste(code, weights);
      if (!listing.test(code.textContent.split("\n").find((line) => listing.test(line)) ?? "")) {
        code.textContent = `${data.power.replace("ALPHA", String(power))}\n`;
      }
      $(".copy", made).addEventListener("click", () => navigator.clipboard?.writeText(code.textContent));
      tabs.append(made);
    }
    const label = $("#s9-label"), radio = $("#s9");
    label.hidden = false;
    label.textContent = `Power ${power}`;
    radio.disabled = false;
    radio.checked = true;
    $("#summary").scrollIntoView();
  });
}
