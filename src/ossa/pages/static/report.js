"use strict";
// Switches layers of bones and drawings of measurements. Without it everything is shown and nothing is lost.
(() => {
  const all = (what, inside = document) => [...inside.querySelectorAll(what)];
  const show = (element, on) => on ? element.removeAttribute("display") : element.setAttribute("display", "none");
  document.documentElement.classList.add("live");
  const boxes = all("[data-toggle]");
  const numbers = document.querySelector("[data-numbers]");
  function update() {
    for (const box of boxes) {
      const bone = box.dataset.toggle;
      all(`[data-bone="${bone}"]`).forEach((layer) => show(layer, box.checked));
      all(`[data-label="${bone}"]`).forEach((label) => show(label, box.checked && numbers.checked));
    }
    for (const group of all("[data-group]")) {
      const own = all("[data-toggle]", group.closest("fieldset"));
      const on = own.filter((box) => box.checked).length;
      group.checked = on > 0;
      group.indeterminate = on > 0 && on < own.length;
    }
  }
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-group]")) {
      all("[data-toggle]", box.closest("fieldset")).forEach((one) => { one.checked = box.checked; });
    }
    update();
  });
  let picked = null;
  function draw(cell) {
    all("[data-drawing]").forEach((drawing) => show(drawing, false));
    all(".picked").forEach((one) => one.classList.remove("picked"));
    picked = cell === picked ? null : cell;
    if (!picked) return;
    picked.classList.add("picked");
    const [hand, name, bone] = picked.dataset.pick.split(" ");
    const film = document.querySelector(`svg.film[data-hand="${hand}"]`);
    all("[data-drawing]", film)
      .filter((drawing) => drawing.dataset.drawing === name && drawing.dataset.of === bone)
      .forEach((drawing) => show(drawing, true));
    film.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-all]");
    if (button) {
      boxes.forEach((box) => { box.checked = button.dataset.all === "on"; });
      update();
    }
    const cell = event.target.closest("[data-pick]");
    if (cell) draw(cell);
  });
})();
