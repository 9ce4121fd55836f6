// What the scripts of a page share: making elements, its colours, saving and copying, telling so.
"use strict";
const page = (() => {
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const make = (tag, properties = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(properties))
      key in node ? (node[key] = value) : node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const button = (text, press, properties = {}) =>
    make("button", { type: "button", textContent: text, onclick: press, ...properties });

  const told = make("p", { className: "told", role: "status" });
  addEventListener("DOMContentLoaded", () => document.body.append(told));
  let timer;
  const tell = (words) => {
    told.textContent = words;
    clearTimeout(timer);
    timer = setTimeout(() => (told.textContent = ""), 2500);
  };

  const save = (name, content, type) => {
    const blob = content instanceof Blob ? content : new Blob([content], { type });
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    tell(name + " is saved.");
  };
  const copy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page that is not to be trusted with the clipboard may still copy what is selected.
      const area = make("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    tell(what + " is copied.");
  };

  // What scrolls sideways must be reached by keyboard too.
  const reach = () => {
    for (const box of document.querySelectorAll(".wide, .picture"))
      if (box.closest("details:not([open])")) continue; // asking how wide it is would lay it out
      else if (box.scrollWidth > box.clientWidth) {
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", box.closest("section")?.querySelector("h2, h3")?.textContent.trim() || "More to the side");
      } else box.removeAttribute("tabindex");
  };
  addEventListener("load", reach);
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);

  const light = (colour) =>
    [1, 3, 5]
      .map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, k) => sum + part * [0.2126, 0.7152, 0.0722][k], 0);
  const mixed = (colour, other, share) =>
    "#" +
    [1, 3, 5]
      .map((at) => [colour, other].map((each) => parseInt(each.slice(at, at + 2), 16)))
      .map(([a, b]) => Math.round(a + (b - a) * share).toString(16).padStart(2, "0"))
      .join("");
  // A colour as the page's paper needs it: dark ones are lightened on dark paper.
  const ink = (colour) => {
    const paper = light(css("--paper"));
    const contrast = (c) => (Math.max(light(c), paper) + 0.05) / (Math.min(light(c), paper) + 0.05);
    let found = colour;
    for (let share = 0.1; paper < 0.2 && contrast(found) < 4.5 && share <= 1; share += 0.1)
      found = mixed(colour, "#ffffff", share);
    return found;
  };
  const short = (value) => {
    if (value === null || value === undefined) return "?";
    const size = Math.abs(value);
    for (const [limit, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]])
      if (size >= limit) return +(value / limit * (unit === " k" ? 10 : 1)).toPrecision(4) + unit;
    return String(+value.toPrecision(4));
  };
  const slug = (words) => words.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  return { css, make, button, tell, save, copy, ink, short, slug };
})();
