// Keeps the live page of an unfinished suite up to date: asks its own server, on this machine, for news.
"use strict";
(() => {
  const progress = document.getElementById("progress"), when = document.getElementById("when");
  const refresh = async () => {
    let seconds = 10;
    try {
      const state = await (await fetch("state.json", { cache: "no-store" })).json();
      const figures = [...document.querySelectorAll("figure.chart")];
      const names = Object.keys(state.charts);
      if (names.join() !== figures.map(({ id }) => id).join()) return location.reload();
      progress.innerHTML = state.html;
      for (const figure of figures) figure.drawn.update(state.charts[figure.id]);
      when.textContent = "As of " + new Date().toLocaleTimeString() + (state.over ? "; looks again now and then." : "; refreshes by itself.");
      seconds = state.seconds;
    } catch {
      when.textContent = "The server does not answer; it may have been stopped. Trying again.";
    }
    setTimeout(refresh, 1000 * seconds);
  };
  refresh();
})();
