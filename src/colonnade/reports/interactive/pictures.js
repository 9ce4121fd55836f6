// Takes pictures away: charts and drawings, as SVG whose text is text, or as PNG.
"use strict";
const pictures = (() => {
  const { css, make, button, ink, save, slug } = page;
  const SVG = "http://www.w3.org/2000/svg";
  const node = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const size = (svg) => svg.getAttribute("viewBox").split(" ").slice(2).map(Number);

  const finish = async (svg, name, format) => {
    const text = new XMLSerializer().serializeToString(svg);
    if (format === "svg") return save(name + ".svg", text, "image/svg+xml");
    const image = new Image(), [width, height] = size(svg);
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    await image.decode();
    const canvas = make("canvas", { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(name + ".png", blob));
  };

  const ofChart = async (drawn, format) => {
    const { chart, view } = drawn, wide = chart.wide || chart.panels.length === 1;
    const [width, height] = wide ? [900, 340] : [440, 300], top = 76, title = 24;
    const found = await drawn.svgs(width, height), across = wide ? 1 : Math.min(3, found.length) || 1;
    const whole = [width * across + 20, top + Math.ceil(found.length / across) * (height + title) + 10];
    const svg = node("svg", { xmlns: SVG, width: whole[0], height: whole[1], viewBox: [0, 0, ...whole].join(" "),
                              "font-family": getComputedStyle(document.body).fontFamily, fill: css("--ink") });
    svg.append(node("title", {}, chart.title), node("desc", {}, chart.description),
               node("rect", { width: "100%", height: "100%", fill: css("--paper") }),
               node("text", { x: 14, y: 28, "font-size": 17, "font-weight": 600 }, chart.title));
    let x = 14;
    for (const series of chart.series.filter(({ key }) => !view.off.has(key))) {
      svg.append(node("line", { x1: x, x2: x + 22, y1: 52, y2: 52, stroke: ink(series.colour), "stroke-width": 2.5 }),
                 node("text", { x: x + 28, y: 56, "font-size": 13 }, series.title));
      x += 50 + 7 * series.title.length;
    }
    found.forEach((panel, k) => {
      const left = 10 + width * (k % across), y = top + (height + title) * Math.floor(k / across);
      svg.append(node("text", { x: left + 8, y: y + 14, "font-size": 13, "font-weight": 600 }, panel.title));
      const inner = document.importNode(new DOMParser().parseFromString(panel.svg, "image/svg+xml").documentElement, true);
      inner.setAttribute("x", left);
      inner.setAttribute("y", y + title);
      svg.append(inner);
    });
    await finish(svg, drawn.figure.id, format);
  };

  const ofDrawing = (svg, name, format) => {
    const text = svg.outerHTML.replace(/var\((--[\w-]+)\)/g, (_, variable) => css(variable));
    const copy = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    const [width, height] = size(copy), paper = node("rect", { width: "100%", height: "100%", fill: css("--paper") });
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.querySelector("desc, title")?.after(paper);
    return finish(copy, name, format);
  };

  for (const box of document.querySelectorAll(".picture")) {
    const svg = box.querySelector(":scope > svg");
    if (!svg) continue;
    const name = svg.dataset.name || slug(box.closest("section")?.querySelector("h2")?.textContent || "picture");
    box.after(make("div", { className: "controls" },
      button("SVG", () => ofDrawing(svg, name, "svg"), { title: "Save this picture as SVG" }),
      button("PNG", () => ofDrawing(svg, name, "png"), { title: "Save this picture as PNG" })));
  }
  return { ofChart };
})();
