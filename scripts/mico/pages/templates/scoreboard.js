"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const board = document.getElementById("board");
const rows = [...board.tBodies[0].rows]; // row i shows data.rows[i], wherever it is sorted to
const metric = document.getElementById("metric");
const scenario = document.getElementById("scenario");

/* Sorting: a table's rows by the value of a column; rows without one stay at the end. */

function sorter(table) {
  const heads = [...table.tHead.rows[0].cells];
  const original = [...table.tBodies[0].rows];
  const words = new Intl.Collator("en", { numeric: true });
  const sort = () => {
    const column = heads.findIndex(head => head.hasAttribute("aria-sort"));
    const sign = heads[column].getAttribute("aria-sort") === "ascending" ? 1 : -1;
    const compare = heads[column].hasAttribute("data-words") ? words.compare : (a, b) => a - b;
    const value = row => row.cells[column].dataset.value;
    const absent = row => value(row) === undefined;
    table.tBodies[0].append(...[...original].sort((a, b) =>
      absent(a) || absent(b) ? absent(a) - absent(b) : sign * compare(value(a), value(b))));
  };
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const flipped = before === "ascending" ? "descending" : "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", before ? flipped : head.dataset.first);
      sort();
    });
  }
  return sort;
}

const [sortBoard] = [...document.querySelectorAll("table.sortable")].map(sorter);

/* Search: only the rows whose data-name contains the words typed. */

for (const search of document.querySelectorAll("input[type=search]")) {
  const table = document.getElementById(search.getAttribute("aria-controls"));
  const found = search.parentElement.querySelector("output");
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    const all = [...table.tBodies[0].rows];
    for (const row of all) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
    table.classList.toggle("filtered", wanted !== "");
    found.value = wanted && `${all.filter(row => !row.hidden).length} of ${all.length}`;
  });
}

/* The metric shown: numbers, intervals and their bars, and what the columns sort by. */

function showMetric() {
  rows.forEach((row, i) => {
    [...row.querySelectorAll("td.value")].forEach((cell, column) => {
      const [value, from, to] = data.rows[i].values[metric.value][column];
      const { low, high, guess } = data.scales[metric.value][column];
      const place = value => `${(100 * (value - low)) / (high - low || 1)}%`;
      const [line, tick, dot] = cell.querySelector(".bar").children;
      cell.dataset.value = value;
      cell.querySelector(".number").textContent = value.toFixed(3);
      cell.querySelector("small").textContent =
        from === null ? "" : `${from.toFixed(3)}–${to.toFixed(3)}`;
      line.style.left = place(from ?? value);
      line.style.right = `calc(100% - ${place(to ?? value)})`;
      tick.style.left = place(guess);
      dot.style.left = place(value);
    });
  });
  const name = metric.selectedOptions[0].textContent;
  for (const label of document.querySelectorAll(".metric")) label.textContent = name;
  sortBoard();
}

/* ROC curves of the participants chosen, on logarithmic axes. */

const MARKERS = ["●", "■", "▲", "◆", "▼", "★"]; // one per colour; then the lines are dashed
const DASHES = ["none", "6 3", "2 3"];
const SIZE = 440, LEFT = 54, RIGHT = 10, TOP = 24, BOTTOM = 42;
const slots = new Map(); // row -> its place among colours, kept as long as it is chosen
const boxes = rows.map(row => row.querySelector("input[type=checkbox]"));

function style(slot) {
  const n = MARKERS.length;
  const dashes = DASHES[Math.floor(slot / n) % DASHES.length];
  return { colour: `var(--c${slot % n})`, marker: MARKERS[slot % n], dashes };
}

function element(parent, name, attributes, text = "") {
  const space = parent instanceof SVGElement ? parent.namespaceURI : document.body.namespaceURI;
  const child = parent.appendChild(document.createElementNS(space, name));
  for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
  child.textContent = text;
  return child;
}

function tprAt([fprs, tprs], rate) {
  return tprs[fprs.findLastIndex(fpr => fpr <= rate + 1e-9)];
}

function drawCurves() {
  const column = Number(scenario.value);
  const smallest = Math.min(...data.rows.map(row => row.curves[column][0].find(fpr => fpr > 0)));
  const decades = Math.min(4, Math.max(2, Math.ceil(-Math.log10(smallest) - 1e-9)));
  const share = rate => Math.max(0, 1 + Math.log10(rate) / decades);
  const x = rate => (LEFT + share(rate) * (SIZE - LEFT - RIGHT)).toFixed(1);
  const y = rate => (SIZE - BOTTOM - share(rate) * (SIZE - TOP - BOTTOM)).toFixed(1);
  const svg = document.getElementById("roc");
  svg.replaceChildren();
  for (let power = -decades; power <= 0; power += 1) {
    const rate = 10 ** power, label = String(Number(rate.toPrecision(1)));
    const d = `M${x(rate)} ${y(0)}V${y(1)}M${x(0)} ${y(rate)}H${x(1)}`;
    element(svg, "path", { class: "grid", d });
    element(svg, "text", { x: x(rate), y: SIZE - BOTTOM + 18, "text-anchor": "middle" }, label);
    element(svg, "text", { x: LEFT - 8, y: Number(y(rate)) + 4, "text-anchor": "end" }, label);
  }
  const middle = { x: (LEFT + SIZE - RIGHT) / 2, y: SIZE - 4, "text-anchor": "middle" };
  element(svg, "text", { class: "axis", ...middle }, "False positive rate");
  element(svg, "text", { class: "axis", x: 0, y: 12 }, "True positive rate");
  element(svg, "path", { class: "guess", d: `M${x(0)} ${y(0)}L${x(1)} ${y(1)}` });
  element(svg, "path", { class: "scored", d: `M${x(data.scored)} ${y(0)}V${y(1)}` });
  const legend = document.getElementById("legend");
  legend.replaceChildren();
  for (const i of [...slots.keys()].sort((a, b) => a - b)) {
    const { colour, marker, dashes } = style(slots.get(i));
    const curve = data.rows[i].curves[column];
    const lowest = 10 ** -decades;
    const steps = curve[0].map((fpr, at) => fpr > lowest ? `H${x(fpr)}V${y(curve[1][at])}` : "");
    const d = `M${x(lowest)} ${y(tprAt(curve, lowest))}${steps.join("")}`;
    element(svg, "path", { class: "curve", d, "stroke-dasharray": dashes }).style.stroke = colour;
    for (let power = 1 - decades; power < 0; power += 1) {
      const place = `translate(${x(10 ** power)} ${y(tprAt(curve, 10 ** power))})`;
      element(svg, "path", { d: SHAPES[marker], transform: place }).style.fill = colour;
    }
    const item = element(legend, "li", {});
    element(item, "span", { "aria-hidden": "true" }, marker).style.color = colour;
    element(item, "bdi", {}, data.rows[i].name);
    element(item, "span", { class: "number" }, tprAt(curve, data.scored).toFixed(3));
    const about = { type: "button", "aria-label": `Remove ${data.rows[i].name}` };
    element(item, "button", about, "×").addEventListener("click", () => choose(i, false));
  }
  element(svg, "text", { x: Number(x(data.scored)) - 5, y: y(0) - 7, "text-anchor": "end" }, "scored here");
  for (const label of document.querySelectorAll(".chosen")) label.textContent = slots.size;
}

function choose(i, chosen) {
  boxes[i].checked = chosen;
  if (!chosen) slots.delete(i);
  else if (!slots.has(i)) {
    const taken = new Set(slots.values());
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    slots.set(i, slot);
  }
  boxes[i].style.accentColor = chosen ? style(slots.get(i)).colour : "";
  drawCurves();
}

boxes.forEach((box, i) => box.addEventListener("change", () => choose(i, box.checked)));
document.getElementById("clear").addEventListener("click", () => {
  for (const i of [...slots.keys()]) choose(i, false);
});
metric.addEventListener("change", showMetric);
scenario.addEventListener("change", drawCurves);

// On a server the board stands alone; in the folder of results there is more.
if (location.protocol === "file:") {
  for (const links of document.querySelectorAll(".near")) links.hidden = false;
}

showMetric();
drawCurves();
for (let i = 0; i < Math.min(3, rows.length); i += 1) choose(i, true);
