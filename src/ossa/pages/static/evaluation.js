"use strict";
// Sorts the table of bones by a clicked heading; a second click turns the order around.
for (const [column, head] of [...document.querySelectorAll("#bones thead th")].entries()) {
  if (!head.dataset.sort) continue;
  head.addEventListener("click", () => {
    const body = document.querySelector("#bones tbody"), down = head.dataset.order !== "up";
    const key = (row) => { const cell = row.cells[column]; return head.dataset.sort === "text" ? cell.textContent : cell.dataset.value; };
    const rows = [...body.rows].sort((a, b) => {
      const p = key(a), q = key(b);
      if (head.dataset.sort === "text") return p.localeCompare(q, undefined, { numeric: true });
      return (p === "") - (q === "") || Number(p) - Number(q);
    });
    if (!down) rows.reverse();
    head.dataset.order = down ? "up" : "down";
    body.replaceChildren(...rows);
  });
}
