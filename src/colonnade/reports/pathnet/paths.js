(() => {
  const runs = JSON.parse(document.getElementById("paths-data").textContent);
  const root = document.getElementById("paths");
  const [select, slider, when, svg] =
    ["select", "input", ".when", "svg"].map((part) => root.querySelector(part));
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    svg.append(node);
  };
  const draw = () => {
    const run = runs[select.value], shot = run.snapshots[slider.value];
    const [L, M, P] = [run.layers, run.modules, shot.genotypes.length];
    const x = (l) => 70 + (500 * l) / Math.max(1, L - 1), y = (m) => 40 + (290 * (m + 0.5)) / M;
    const uses = shot.genotypes.map((g) => g.map((layer) => [...new Set(layer)]));
    const last = +slider.value === run.snapshots.length - 1;
    svg.replaceChildren();
    const count = new Map();
    for (const path of uses)
      for (let l = 0; l + 1 < L; l++)
        for (const a of path[l]) for (const b of path[l + 1]) {
          const key = [l, a, b].join();
          count.set(key, (count.get(key) || 0) + 1);
        }
    const edge = (key, width, colour, opacity) => {
      const [l, a, b] = key.split(",").map(Number);
      make("line", {x1: x(l), y1: y(a), x2: x(l + 1), y2: y(b), stroke: colour,
                    "stroke-width": width, "stroke-opacity": opacity});
    };
    for (const [key, n] of count) edge(key, (5 * n) / P, "#0072b2", 0.1 + (0.7 * n) / P);
    if (last)
      for (let l = 0; l + 1 < L; l++)
        for (const a of run.best[l]) for (const b of run.best[l + 1])
          edge([l, a, b].join(), 1.6, "#d55e00", 0.9);
    for (let l = 0; l < L; l++) {
      make("text", {x: x(l), y: 22, "text-anchor": "middle", "font-size": 13,
                    fill: "var(--faint)"}, "layer " + (l + 1));
      for (let m = 0; m < M; m++) {
        const n = uses.filter((path) => path[l].includes(m)).length;
        const frozen = run.frozen[l].includes(m), best = last && run.best[l].includes(m);
        const place = {cx: x(l), cy: y(m), r: Math.min(13, 110 / M)};
        make("circle", {...place, fill: "var(--paper)"});
        make("circle", {...place, fill: "#0072b2", "fill-opacity": n / P,
                        stroke: frozen || best ? "#d55e00" : "var(--faint)",
                        "stroke-width": frozen ? 4 : best ? 2.5 : 1});
      }
    }
    const known = shot.fitness.filter((f) => f !== null);
    const mean = known.length ? known.reduce((a, b) => a + b) / known.length : null;
    when.textContent = run.task + ", after " + shot.evaluations + " " + run.unit +
      (mean === null ? "" : ", mean fitness " + mean.toFixed(2));
  };
  runs.forEach((run, n) => select.append(new Option(run.label, n)));
  select.onchange = () => {
    slider.max = runs[select.value].snapshots.length - 1;
    slider.value = 0;
    draw();
  };
  slider.oninput = draw;
  select.onchange();
})();
