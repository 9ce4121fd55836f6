// Plays a page's films when they are asked to, all of a box at once.
"use strict";
for (const box of document.querySelectorAll(".film")) {
  const images = [...box.querySelectorAll("img[data-film]")], stills = images.map((image) => image.src);
  let plays = false;
  const toggle = page.button("Play", () => {
    plays = !plays;
    // A film that is set anew begins at its beginning.
    images.forEach((image, k) => (image.src = plays ? image.dataset.film : stills[k]));
    toggle.textContent = plays ? "Stop" : "Play";
  });
  toggle.title = "All films of " + box.dataset.title + " at once";
  box.querySelector(".frames").after(page.make("p", { className: "controls" }, toggle));
}
