/* ROC curves of a figure: any can be chosen, which gives it a colour, and be pointed at, which says its rates. */

function toChoose(svg) {
  const figure = svg.closest("figure");
  const legend = figure.querySelector(".legend");
  const others = legend.querySelector(".others");
  const lowest = Number(svg.dataset.lowest);
  const [left, bottom, right, top] = svg.dataset.box.split(" ").map(Number);
  const rateAt = x => lowest ** ((right - x) / (right - left));
  const tprAt = y => lowest ** ((y - top) / (bottom - top));
  const xOf = rate => right - (right - left) * Math.log(rate) / Math.log(lowest);
  const curves = new Map();
  for (const group of svg.querySelectorAll("[data-curve]")) {
    const known = curves.get(group.dataset.curve);
    if (known) known.marks = group;
    else {
      const path = group.querySelector("path");
      curves.set(group.dataset.curve, { group, path, corners: cornersOf(path) });
    }
  }
  const marked = [...curves.keys()].filter(name => curves.get(name).marks).reverse();
  const names = [...marked, ...[...curves.keys()].filter(name => !marked.includes(name)).reverse()];
  const unscored = others ? Number(others.dataset.count) - (names.length - marked.length) : 0;
  marked.forEach((name, i) => {
    const mark = legend.children[i].querySelector("[aria-hidden]");
    Object.assign(curves.get(name), { colour: mark.style.color, shape: mark.textContent, item: legend.children[i] });
  });

  // The highest step of a curve at or left of x.
  const heightAt = ({ corners }, x) => corners.findLast(([at]) => at <= x + .05)?.[1] ?? bottom;

  function look(name) {
    const one = curves.get(name);
    const taken = names.map(other => curves.get(other)).filter(other => other.item);
    const shapes = ["●", "■", "▲", "◆", "▼", "★"];
    const looks = Array.from({ length: 36 }, (_, n) =>
      ({ colour: `var(--c${n % 6})`, shape: shapes[(n + Math.floor(n / 6)) % 6] }));
    const free = looks.filter(a => !taken.some(other => other.colour === a.colour && other.shape === a.shape));
    const fresh = free.filter(a => !taken.some(other => other.colour === a.colour));
    Object.assign(one, fresh[0] ?? free[0] ?? looks[0]);
    one.marks = drawn("g", {});
    for (const rate of svg.dataset.rates.split(" ").map(Number)) {
      const y = heightAt(one, xOf(rate));
      if (y > bottom) continue;
      const mark = drawn("path", { d: SHAPES[one.shape], transform: `translate(${xOf(rate)} ${y}) scale(.7)` });
      mark.style.fill = one.colour;
      one.marks.append(mark);
    }
  }

  function choose(name, chosen) {
    const one = curves.get(name);
    if (chosen && !one.marks) look(name);
    one.path.style.stroke = chosen ? one.colour : "var(--pale)";
    one.path.style.strokeWidth = chosen ? 1.6 : .8;
    one.marks.classList.toggle("unseen", !chosen);
    if (chosen) one.group.parentNode.append(one.group, one.marks);
    if (chosen && !one.item) {
      const mark = element("span", one.shape);
      mark.setAttribute("aria-hidden", "true");
      mark.style.color = one.colour;
      one.item = element("li", mark, ` ${name}`);
    }
    if (chosen) legend.insertBefore(one.item, [...legend.children].find(item => !items.has(item)) ?? null);
    else one.item.remove();
    items.set(one.item, name);
    const left = names.length - names.filter(other => curves.get(other).item?.isConnected).length + unscored;
    if (others) [others.hidden, others.lastChild.textContent] = [!left, ` ${left} ${left === 1 ? "other" : "others"}`];
    boxes.get(name).checked = chosen;
  }

  const said = element("output", "Point at a curve.");
  said.className = "pointed-at muted";
  function point(name, x) {
    for (const [other, { path }] of curves) path.classList.toggle("pointed", other === name);
    if (name === undefined) return;
    const y = heightAt(curves.get(name), x);
    const tpr = y > bottom ? `below ${lowest.toPrecision(2)}` : tprAt(y).toFixed(3);
    said.textContent = `${name}: TPR ${tpr} at FPR ${rateAt(x).toPrecision(2)}`;
  }

  const items = new Map(marked.map(name => [curves.get(name).item, name])); // of the legend
  const boxes = new Map();
  const list = element("div");
  for (const name of names) {
    const box = element("input");
    box.type = "checkbox";
    box.autocomplete = "off";
    box.checked = marked.includes(name);
    box.addEventListener("change", () => choose(name, box.checked));
    box.addEventListener("focus", () => point(name, xOf(Number(svg.dataset.scored))));
    boxes.set(name, box);
    list.append(element("label", box, ` ${name}`));
  }
  const choice = element("details", element("summary", "Choose curves"), list);
  choice.className = "curves";
  svg.after(said);
  legend.after(choice);

  function nearest(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    if (at.x < left || at.x > right) return [undefined, at.x];
    const distances = names.map(name => Math.min(...segments(curves.get(name).corners).map(segment => away(at, segment))));
    const closest = Math.min(...distances);
    return [closest < 14 ? names[distances.indexOf(closest)] : undefined, at.x];
  }
  svg.addEventListener("pointermove", event => point(...nearest(event)));
  svg.addEventListener("pointerleave", () => point());
  svg.addEventListener("click", event => {
    const [name] = nearest(event);
    if (name !== undefined) choose(name, !boxes.get(name).checked);
  });
}

// The corners of a path of straight lines.
function cornersOf(path) {
  let [x, y] = [0, 0];
  return [...path.getAttribute("d").matchAll(/([MLHV])([^MLHV]*)/g)].map(([, command, numbers]) => {
    const now = numbers.trim().split(/[ ,]+/).map(Number);
    if (command === "V") [y] = now;
    else if (command === "H") [x] = now;
    else [x, y] = now;
    return [x, y];
  });
}

const segments = corners => corners.slice(1).map((corner, i) => [corners[i], corner]);

// How far a point is from a line between two.
function away({ x, y }, [[x1, y1], [x2, y2]]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const share = Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - x1 - share * dx, y - y1 - share * dy);
}

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

for (const svg of document.querySelectorAll("svg[data-lowest]")) toChoose(svg);
