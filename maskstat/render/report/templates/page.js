// What all parts of the page use; its theme and where the reader is.
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const root = document.documentElement;
root.classList.add("on");
const data = JSON.parse($("#data").textContent);
const { names, colours, shares, order } = data;
const classes = names.length;
const element = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};
const drawn = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
// As the page's own numbers are written: three digits, of rare shares fewer; only nothing is 0%.
const percent = (share) => {
  const value = 100 * share;
  if (value <= 0) return "0%";
  if (value < 0.00001) return "<0.00001%";
  if (value >= 99.95 && value < 100) return ">99.9%";
  const rounded = Number(value.toPrecision(3));
  if (rounded >= 100) return `${Math.round(value).toLocaleString("en")}%`;
  if (rounded >= 10) return `${value.toFixed(1)}%`;
  if (rounded >= 0.01) return `${value.toFixed(2)}%`;
  return `${Number(value.toPrecision(1)).toFixed(5).replace(/0+$/, "")}%`;
};
const number = (value) => value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
const rgb = colours.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
const inkOn = (k) => {
  const [r, g, b] = rgb[k].map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) ? "#000" : "#fff";
};
const swatch = (k) => {
  const made = drawn("svg", { class: "sw", width: 12, height: 12, "aria-hidden": "true" });
  made.append(drawn("rect", { width: 12, height: 12, rx: 3, fill: colours[k] }));
  return made;
};
$("#theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
if ("IntersectionObserver" in window) {
  const watching = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of $$(".top nav a")) {
        const here = link.hash === `#${entry.target.id}`;
        link.classList.toggle("here", here);
        if (here) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-30% 0px -65% 0px" });
  for (const section of $$("main > section")) watching.observe(section);
}
for (const button of $$(".copy")) {
  button.addEventListener("click", async () => {
    const code = $("code", button.parentElement);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1400);
  });
}
