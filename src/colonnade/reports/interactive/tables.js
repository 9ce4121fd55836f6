// Makes a page's tables sort by their columns, and copy as CSV and LaTeX.
"use strict";
(() => {
  const { make, button, copy } = page;
  const words = (cell) => cell.innerText.replace(/\s+/g, " ").trim();
  const number = (text) => {
    const found = text.replace(/(\d),(?=\d{3})/g, "$1").match(/[-−]?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return found ? parseFloat(found[0].replace("−", "-")) : null;
  };

  const sort = (table, column, heading) => {
    const body = table.tBodies[0], rows = [...body.rows];
    const texts = new Map(rows.map((row) => [row, row.cells[column].dataset.sort ?? words(row.cells[column])]));
    const filled = rows.filter((row) => texts.get(row)), empty = rows.filter((row) => !texts.get(row));
    const numeric = column > 0 && filled.every((row) => number(texts.get(row)) !== null);
    const before = heading.getAttribute("aria-sort");
    const descending = before ? before === "ascending" : numeric;
    filled.sort((a, b) => {
      const [x, y] = [texts.get(a), texts.get(b)];
      return numeric ? number(x) - number(y) : x.localeCompare(y, undefined, { numeric: true });
    });
    if (descending) filled.reverse();
    // Cells that say nothing stay below, whichever way.
    body.append(...filled, ...empty);
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };

  const cells = (table) => [...table.rows].map((row) => [...row.cells].map(words));
  const csv = (table) =>
    cells(table).map((row) => row.map((cell) => (/[",]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell)).join(",")).join("\n") + "\n";
  const tex = (text) =>
    text.replace(/[\\&%$#_{}~^]/g, (c) => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" })[c] ?? "\\" + c)
      .replace(/±/g, "$\\pm$").replace(/[−]/g, "$-$");
  const latex = (table) => {
    const [head, ...rows] = cells(table).map((row) => row.map(tex).join(" & ") + " \\\\");
    const columns = "l" + "r".repeat(table.tHead.rows[0].cells.length - 1);
    return [`\\begin{tabular}{${columns}}`, "\\toprule", head, "\\midrule", ...rows, "\\bottomrule", "\\end{tabular}", ""].join("\n");
  };

  for (const table of document.querySelectorAll("table.numbers")) {
    if (table.tBodies[0].rows.length > 1)
      for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
        if (!heading.textContent.trim()) continue;
        const sorts = button("", () => sort(table, column, heading), { title: "Sort by this column" });
        sorts.append(...heading.childNodes);
        heading.append(sorts);
      }
    const after = table.closest(".wide") ?? table;
    after.after(make("div", { className: "controls" },
      button("Copy as CSV", () => copy(csv(table), "The table")),
      button("Copy as LaTeX", () => copy(latex(table), "The table"))));
  }
})();
