/* SPDX-FileCopyrightText: The pelion.mbl contributors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
// Sorting and searching the boards' table. Without it the page says the same.
"use strict";
const body = document.querySelector("#boards tbody");
const rows = [...body.rows].map((row, place) => ({row, place, text: row.textContent.toLowerCase()}));
const compare = new Intl.Collator("en", {numeric: true}).compare;
const STATE = 1; // comes sorted by it, the worst first

const search = document.querySelector("#search");
const found = document.querySelector("#found");
search.parentNode.hidden = false;
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const {row, text} of rows) {
    row.hidden = !words.every(word => text.includes(word));
    count += !row.hidden;
  }
  found.textContent = search.value.trim() && `${count} of ${rows.length}`;
});

const heads = [...document.querySelectorAll("#boards th")];
heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const cell = ({row}) => row.cells[column].textContent.trim();
    const order = (a, b) => column === STATE ? a.place - b.place : compare(cell(a), cell(b)) || a.place - b.place;
    rows.sort((a, b) => !cell(a) - !cell(b) || (down ? -order(a, b) : order(a, b))); // empty ones last
    body.append(...rows.map(({row}) => row));
  });
});
heads[STATE].setAttribute("aria-sort", "ascending");
