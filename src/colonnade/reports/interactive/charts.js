// Draws a page's charts with plotly.js, from the numbers that stand in the page.
"use strict";
(() => {
  const { make, button, css, ink, short } = page;
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const faded = (colour, alpha) => colour + Math.round(255 * alpha).toString(16).padStart(2, "0");

  // A running mean that forgets: each value counts `weight` times as much as the one after it.
  const smooth = (values, weight) => {
    let sum = 0, total = 0;
    return values.map((value) => {
      if (value === null) return null;
      sum = weight * sum + value;
      total = weight * total + 1;
      return sum / total;
    });
  };

  const placesOf = (line, view) => (view.time && line.seconds ? line.seconds.map(minutes) : line.x);
  const minutes = (seconds) => (seconds === null ? null : seconds / 60);

  // What a line's own look says; cells of a table fill their places.
  const lookOf = (look, colour, panel, plot) => {
    const each = Array.isArray(look.opacity), inks = each ? look.opacity.map((share) => faded(colour, share)) : faded(colour, look.opacity);
    const [width, height] = plot ? [plot.clientWidth - 90, plot.clientHeight - 60] : [350, 240];
    const room = Math.min(width / (panel.xNames?.length || 1), height / (panel.yNames?.length || 1));
    return {
      ...(each ? {} : { line: { color: inks, width: look.width } }),
      marker: { color: inks, size: look.size || Math.max(6, room - 2), symbol: look.symbol, opacity: 1,
                line: { color: look.ring ? ink(look.ring) : "rgba(0,0,0,0)", width: look.ring ? 2 : 0 } },
    };
  };
  const textInks = (look) =>
    Array.isArray(look?.opacity) ? look.opacity.map((share) => (share > 0.6 ? css("--paper") : css("--ink"))) : css("--ink");

  const tracesOf = (panel, view, plot) => {
    const traces = [], shown = panel.lines.filter((line) => !view.off.has(line.series));
    const add = (x, y, more) => traces.push({ type: "scatter", mode: "lines", hoverinfo: "skip", x, y, ...more });
    for (const line of shown) {
      const series = view.series.get(line.series), colour = ink(series.colour);
      const x = placesOf(line, view), even = (values) => smooth(values, view.weight);
      if (line.low && !view.runs) {
        const known = x.map((_, k) => k).filter((k) => line.low[k] !== null && x[k] !== null);
        const [low, high] = [even(line.low), even(line.high)], back = known.slice().reverse();
        add([...known, ...back].map((k) => x[k]),
            [...known.map((k) => high[k]), ...back.map((k) => low[k])],
            { fill: "toself", fillcolor: faded(colour, 0.18), line: { width: 0 } });
      }
      if (line.each && (view.runs || !line.low))
        for (const run of line.each)
          add(x, even(run), { line: { color: faded(colour, 0.45), width: 1 } });
    }
    for (const line of shown) {
      const series = view.series.get(line.series), colour = ink(series.colour);
      const x = placesOf(line, view), y = smooth(line.y, line.joined === false ? 0 : view.weight);
      const dots = line.joined === false || x.length < 2, look = line.look;
      const mode = (dots ? "markers" : "lines") + (line.texts ? "+text" : "");
      const trace = { mode, hoverinfo: "none", meta: line, line: { color: colour, width: 2.2, dash: series.dash },
                      marker: { color: faded(colour, line.joined === false ? 0.6 : 1), size: 6 } };
      if (look) Object.assign(trace, lookOf(look, colour, panel, plot));
      if (line.texts) Object.assign(trace, { text: line.texts.map(plain), textfont: { size: 10, color: textInks(look) } });
      if (look?.quiet) Object.assign(trace, { hoverinfo: "skip", meta: undefined });
      add(x, y, trace);
      if (line.marked)
        add(line.marked.map((k) => x[k]), line.marked.map((k) => y[k]),
            { mode: "markers", marker: { symbol: "line-ns", size: 8, line: { color: colour, width: 1.5 } } });
    }
    const ends = shown.flatMap((line) => placesOf(line, view)).filter((x) => x !== null);
    const [first, last] = [Math.min(...ends, view.logX || panel.xNames ? Infinity : 0), Math.max(...ends)];
    for (const level of ends.length ? panel.levels : []) {
      if (level.at === null) continue;
      add([first, last], [level.at, level.at], { line: { color: css("--ink"), width: 1, dash: "dot" } });
      add([last], [level.at], { mode: "text", text: [plain(level.title)], textposition: "top left", cliponaxis: false,
                                textfont: { size: 11, color: css("--faint") } });
    }
    return traces;
  };

  // Titles of marks stand in one row, in several where they would overlap; what fits in none goes without.
  const MARGIN = 44, ROW = 14, ROWS = 4;
  const rowsOf = (marks, end, width) => {
    const ends = [];
    return marks.map(({ at, title }) => {
      const place = (width - MARGIN) * at / end, over = place + 6.2 * title.length;
      const row = [...Array(ROWS).keys()].find((k) => (ends[k] ?? -1) <= place);
      if (row !== undefined) ends[row] = over;
      return row;
    });
  };

  const layoutOf = (chart, panel, view, width) => {
    const axis = { gridcolor: css("--line"), linecolor: css("--faint"), zeroline: false, tickcolor: css("--faint"),
                   ticks: "outside", ticklen: 4, automargin: true, title: { standoff: 8 }, fixedrange: view.coarse };
    const time = view.time && panel.lines.every((line) => line.seconds);
    const marks = view.time || view.logX ? [] : panel.switches;
    const xs = panel.lines.flatMap((line) => placesOf(line, view)).filter((x) => x > 0);
    const wide = Math.max(...xs) / Math.min(...xs) > 200, large = Math.max(...xs) >= 1000;
    const empty = panel.lines.some(({ y }) => y.some((value) => value !== null)) ? [] :
      [{ text: panel.xNames ? "none" : "no points yet", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, font: { color: css("--faint") } }];
    const named = (names, reversed) => names && {
      type: "linear", tickmode: "array", tickvals: names.map((_, k) => k), ticktext: names.map(plain), showgrid: false,
      range: reversed ? [names.length - 0.5, -0.5] : [-0.5, names.length - 0.5], ticks: "", nticks: 0, tickformat: "" };
    const closest = view.dots || panel.yNames;
    const titled = marks.filter(({ title }) => title), rows = rowsOf(titled, Math.max(...xs), width);
    const top = Math.max(0, ...rows.filter((row) => row !== undefined));
    return {
      margin: { l: MARGIN, r: 10, t: marks.length ? 20 + ROW * top : 8, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--ink") },
      hovermode: closest ? "closest" : "x", dragmode: view.coarse ? false : "zoom", hoverdistance: -1,
      xaxis: { ...axis, title: { text: plain(time ? "minutes of training" : chart.x), standoff: 8 },
               type: view.logX ? "log" : "linear", rangemode: view.dots && !panel.yNames ? "normal" : "tozero", showgrid: false,
               tickformat: large ? "~s" : "~g", ...(view.logX ? { dtick: wide ? 1 : "D2" } : { nticks: 6 }),
               showspikes: !closest, spikemode: "across", spikethickness: 1, spikedash: "dot", spikecolor: css("--faint"), ...named(panel.xNames) },
      yaxis: { ...axis, title: { text: plain(chart.y), standoff: 6 }, type: view.logY ? "log" : "linear", nticks: 6, ...named(panel.yNames, true) },
      shapes: marks.map(({ at }) => ({ type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper",
                                       line: { color: css("--faint"), width: 1, dash: "dot" } })),
      annotations: empty.concat(titled.map(({ at, title }, k) =>
        ({ x: at, y: 1, yref: "paper", yanchor: "bottom", xanchor: "left", showarrow: false, text: plain(title),
           yshift: ROW * (rows[k] ?? 0), visible: rows[k] !== undefined, font: { size: 11, color: css("--faint") } }))),
    };
  };

  const nearest = (xs, x) => {
    let best = -1;
    xs.forEach((each, k) => {
      if (each !== null && (best < 0 || Math.abs(each - x) < Math.abs(xs[best] - x))) best = k;
    });
    return best;
  };
  const sentence = (line, k, panel) => {
    const parts = panel.yNames ? [] : [short(line.y[k])];
    if (line.low && line.low[k] !== null) parts.push(`95 % ${short(line.low[k])} to ${short(line.high[k])}`);
    if (line.labels) parts.push(line.labels[k]);
    if (line.runs) parts.push(line.runs.length > 1 ? line.runs.length + " runs" : line.runs[0]);
    return parts.join(" · ");
  };

  const about = (chart, panel) => {
    const ends = panel.lines.slice(0, 12).map((line) => {
      const title = chart.series.find((series) => series.key === line.series).title;
      const last = line.y.length - 1;
      return line.joined === false ? `${title}: ${line.y.length} points` : `${title} ends at ${sentence(line, last, panel)}`;
    });
    return `${panel.title || chart.title}. ${chart.y} against ${chart.x}. ${ends.join("; ")}. Arrow keys read single points.`;
  };

  // The library is read when the first chart comes near the screen: a page opens a second sooner without it.
  const plotly = () => {
    const source = document.querySelector('script[type="text/plain"][data-name^="plotly"]');
    if (source && !window.Plotly) document.head.append(make("script", { textContent: source.textContent }));
    return window.Plotly;
  };

  class Drawn {
    constructor(figure) {
      this.figure = figure;
      const chart = (this.chart = JSON.parse(figure.querySelector("script").textContent));
      const lines = chart.panels.flatMap((panel) => panel.lines);
      this.view = { off: new Set(), hidden: new Set(), weight: 0, time: false, runs: false, logX: chart.logX, logY: false,
                    series: new Map(chart.series.map((each) => [each.key, each])),
                    dots: lines.some((line) => line.joined === false),
                    coarse: matchMedia("(pointer: coarse)").matches };
      this.panels = chart.panels.map((panel, k) => this.panel(panel, k));
      const besides = [...figure.querySelectorAll(":scope > .beside")];
      for (const each of besides) {
        const { box } = this.panels[each.dataset.panel];
        box.classList.add("accompanied");
        box.append(each);
      }
      const rows = chart.wide || besides.length || chart.panels.length === 1;
      const grid = make("div", { className: "panels" + (rows ? " one" : "") },
                        ...this.panels.map(({ box }) => box));
      figure.querySelector("noscript").before(this.legend(), grid, this.controls(lines));
      figure.drawn = this;
      this.keys();
    }

    panel(content, k) {
      const title = make("p", { className: "panel-title", textContent: content.title });
      const rows = content.yNames?.length;
      const plot = make("div", { className: "plot", style: rows ? `height: ${Math.min(24, 5 + Math.max(3, 1.7 * rows))}rem` : "", tabIndex: 0, role: "img", "aria-label": about(this.chart, content) });
      const tip = make("div", { className: "tip", hidden: true, "aria-live": "polite" });
      const box = make("div", { className: "panel" }, title, plot, tip);
      const panel = { content, box, plot, tip, seen: false, cursor: -1 };
      plot.onkeydown = (event) => this.walk(panel, event);
      plot.onblur = () => (tip.hidden = true);
      watcher.observe(box);
      box.draw = () => this.draw(panel);
      return panel;
    }

    draw(panel) {
      const first = !panel.seen;
      panel.seen = true;
      plotly().react(panel.plot, tracesOf(panel.content, this.view, panel.plot), layoutOf(this.chart, panel.content, this.view, panel.plot.clientWidth),
                   { displayModeBar: false, responsive: true, doubleClick: "reset", showTips: false });
      if (!first) return;
      panel.plot.on("plotly_hover", (event) => this.tip(panel, event.points[0]));
      panel.plot.on("plotly_unhover", () => (panel.tip.hidden = true));
    }

    redraw() {
      for (const [k, panel] of this.panels.entries()) {
        panel.box.hidden = this.view.hidden.has(k);
        panel.tip.hidden = true;
        if (panel.seen && !panel.box.hidden) this.draw(panel);
      }
      this.keys();
    }

    // Show newer numbers of the same chart; what the reader has switched stays so.
    update(chart) {
      const titles = ({ panels, series }) => JSON.stringify([panels.map(({ title }) => title), series.map(({ key }) => key)]);
      if (titles(chart) !== titles(this.chart)) return location.reload();
      this.chart = chart;
      chart.panels.forEach((content, k) => {
        const panel = this.panels[k];
        panel.content = content;
        panel.plot.setAttribute("aria-label", about(chart, content));
      });
      this.redraw();
    }

    tip(panel, point) {
      const rows = [], { content } = panel, alone = this.view.dots || content.yNames;
      for (const line of content.lines) {
        if (line.look?.quiet || this.view.off.has(line.series) || (alone && line !== point.data.meta)) continue;
        const places = placesOf(line, this.view), k = alone ? point.pointNumber : nearest(places, point.x);
        if (k < 0) continue;
        const { title, colour, dash } = this.view.series.get(line.series);
        rows.push(make("p", {}, this.swatch(colour, dash), make("b", { textContent: title }), " " + sentence(line, k, content)));
      }
      const unit = this.view.time ? "minutes" : this.chart.x;
      const where = [`${unit}: ${content.xNames?.[point.x] ?? short(point.x)}`];
      if (content.yNames && this.chart.y) where.push(`${this.chart.y}: ${content.yNames[Math.round(point.y ?? point.data.y[point.pointNumber])]}`);
      panel.tip.replaceChildren(make("p", { className: "where", textContent: where.join(", ") }), ...rows);
      panel.tip.hidden = !rows.length;
      const range = panel.plot._fullLayout.xaxis, share = range.d2p(point.x) / range._length;
      panel.tip.classList.toggle("left", share > 0.5);
    }

    walk(panel, event) {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") panel.tip.hidden = true;
      if (!step || !panel.seen) return;
      event.preventDefault();
      // Where a tip is of one point alone, the cursor walks from trace to trace; else one says all places.
      const traces = panel.plot.data.filter((trace) => trace.meta), alone = this.view.dots || panel.content.yNames;
      const points = (alone ? traces : traces.slice(0, 1)).flatMap((data) =>
        data.x.map((x, pointNumber) => ({ x, data, pointNumber }))
          .filter(({ x, pointNumber }) => x !== null && (!alone || data.y[pointNumber] !== null)));
      if (!points.length) return;
      panel.cursor = Math.max(0, Math.min(points.length - 1, panel.cursor + step));
      this.tip(panel, points[panel.cursor]);
    }

    swatch(colour, dash = "solid") {
      const dot = make("span", { className: "dot" });
      dot.dataset.colour = colour;
      dot.style.background = ink(colour);
      dot.classList.toggle("dashed", dash !== "solid");
      return dot;
    }

    legend() {
      const switches = (words, entries, set, content) =>
        entries.length < 2 ? [] : [make("div", { className: "keys", role: "group", "aria-label": words }, ...entries.map((entry) => {
          const key = button("", () => {
            const value = entry.key;
            if (!set.delete(value)) set.add(value);
            key.setAttribute("aria-pressed", !set.has(value));
            this.redraw();
          }, { "aria-pressed": "true" });
          key.append(...content(entry));
          key.title = "Click to show or hide; double-click to see it alone";
          key.ondblclick = () => {
            const alone = entries.every((each) => each === entry || set.has(each.key));
            set.clear();
            if (!alone) entries.filter((each) => each !== entry).forEach((each) => set.add(each.key));
            [...key.parentNode.children].forEach((each, k) =>
              each.setAttribute("aria-pressed", !set.has(entries[k].key)));
            this.redraw();
          };
          return key;
        }))];
      const { series, panels } = this.chart, single = series.length === 1;
      return make("div", { className: "legend" },
        ...(single ? [make("span", { className: "key" }, this.swatch(series[0].colour, series[0].dash), series[0].title)] : []),
        ...switches("Lines", series, this.view.off, (each) => [this.swatch(each.colour, each.dash), each.title]),
        ...switches("Panels", panels.map(({ title }, k) => ({ key: k, title })), this.view.hidden, (each) => [each.title]));
    }

    keys() {
      for (const dot of this.figure.querySelectorAll(".dot")) dot.style.background = ink(dot.dataset.colour);
    }

    controls(lines) {
      const { view } = this, change = (set) => (event) => (set(event.target), this.redraw());
      const choice = (words, options, set) =>
        make("label", {}, words + " ", make("select", { onchange: change(set) },
          ...options.map(([value, title]) => new Option(title, value))));
      const check = (words, property, checked = false) =>
        make("label", {}, make("input", { type: "checkbox", checked, onchange: change(({ checked }) => (view[property] = checked)) }), " " + words);
      const parts = [];
      if (lines.length && lines.every((line) => line.seconds))
        parts.push(choice("Across", [["", this.chart.x], ["time", "minutes of training"]], ({ value }) => (view.time = value === "time")));
      const named = this.chart.panels.some(({ xNames, yNames }) => xNames || yNames);
      if (!named && lines.length && lines.every((line) => line.x.every((x) => x === null || x > 0))) parts.push(check("log x", "logX", view.logX));
      const positive = (values) => (values ?? []).every((y) => y === null || y > 0);
      if (!named && lines.length && lines.every((line) => [line.y, line.low, ...(line.each ?? [])].every(positive))) parts.push(check("log y", "logY"));
      if (lines.some((line) => line.each && line.low)) parts.push(check("single runs", "runs"));
      if (!named && lines.some((line) => line.joined !== false && line.x.length > 8))
        parts.push(make("label", {}, "Smoothing ", make("input", { type: "range", min: 0, max: 0.95, step: 0.05, value: 0,
          oninput: change(({ value }) => (view.weight = +value)) })));
      parts.push(button("SVG", () => pictures.ofChart(this, "svg"), { title: "Save this picture as SVG" }),
                 button("PNG", () => pictures.ofChart(this, "png"), { title: "Save this picture as PNG" }));
      return make("div", { className: "controls" }, ...parts);
    }

    // The visible panels as SVG, each of so many pixels.
    async svgs(width, height) {
      const visible = this.panels.filter((_, k) => !this.view.hidden.has(k));
      return Promise.all(visible.map(async ({ content }) => {
        const layout = { ...layoutOf(this.chart, content, this.view, width), width, height };
        const url = await plotly().toImage({ data: tracesOf(content, this.view), layout }, { format: "svg", width, height });
        return { title: content.title, svg: decodeURIComponent(url.slice(url.indexOf(",") + 1)) };
      }));
    }
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) {
        watcher.unobserve(target);
        target.draw();
      }
  }, { rootMargin: "600px" });

  const charts = [...document.querySelectorAll("figure.chart")].map((figure) => new Drawn(figure));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((each) => each.redraw()));
  addEventListener("beforeprint", () => charts.forEach((each) => each.panels.forEach((panel) => each.draw(panel))));
})();
