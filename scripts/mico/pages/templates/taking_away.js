"use strict";
/* Beside each figure and each table a small menu: the figure as SVG, PDF and PNG, the table as CSV, LaTeX
   and Markdown. They hold what the page shows, and are made here, without a network. */

const SVG = "http://www.w3.org/2000/svg";
const STYLES = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray",
  "stroke-linecap", "stroke-linejoin", "opacity", "font-family", "font-size", "text-anchor", "paint-order"];
// What stands for a curve, drawn about 0: no font has to have it.
const SHAPES = {
  "●": "M4 0C4 2.2 2.2 4 0 4C-2.2 4 -4 2.2 -4 0C-4 -2.2 -2.2 -4 0 -4C2.2 -4 4 -2.2 4 0Z",
  "■": "M-3.6 -3.6H3.6V3.6H-3.6Z", "◆": "M0 -4.8L4.8 0L0 4.8L-4.8 0Z",
  "▲": "M0 -4.4L4.4 3.6H-4.4Z", "▼": "M0 4.4L4.4 -3.6H-4.4Z",
  "★": "M0 -5L1.5 -1.6L5 -1.5L2.3 .8L3.1 4.3L0 2.4L-3.1 4.3L-2.3 .8L-5 -1.5L-1.5 -1.6Z",
  "━": "M-6 -1H6V1H-6Z", "╍": "M-6 -1H-1V1H-6ZM1 -1H6V1H1Z",
};

function drawn(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// The name of a file: letters, digits and points of a label, as the folder of `make figures` has it.
const fileName = label => label.replace(/[^\p{L}\p{N}_.]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "");

/* A figure: a copy in the colours of paper that holds its styles and its legend. */

const legendOf = svg => svg.closest("figure")?.querySelector(".legend");

function withLegend(copy, legend) {
  const { x, y, width, height } = copy.viewBox.baseVal;
  let below = y + height;
  for (const item of legend.children) {
    const words = item.cloneNode(true);
    for (const one of words.querySelectorAll("[aria-hidden], button")) one.remove();
    const mark = item.querySelector("[aria-hidden]");
    below += 16;
    const path = drawn("path", { d: SHAPES[mark.textContent], transform: `translate(${x + 14} ${below - 4})` });
    path.style.fill = mark.style.color || "var(--ink)";
    const text = Array.from(words.childNodes, one => one.textContent).join(" ").replace(/\s+/g, " ").trim();
    copy.append(path, drawn("text", { x: x + 26, y: below, style: "font-size: 10.5px; fill: var(--ink)" }, text));
  }
  copy.setAttribute("viewBox", `${x} ${y} ${width} ${below + 6 - y}`);
}

function standalone(svg, use) {
  const copy = svg.cloneNode(true);
  const { width } = svg.viewBox.baseVal;
  const host = document.createElement("div");
  host.className = "on-paper";
  host.style.width = `${width}px`;
  host.append(copy);
  document.body.append(host);
  const legend = legendOf(svg);
  if (legend) withLegend(copy, legend);
  for (const one of copy.querySelectorAll("g, path, text")) {
    if (getComputedStyle(one).display === "none" && !one.closest("defs")) one.remove();
  }
  for (const one of copy.querySelectorAll("use")) {
    const path = copy.querySelector(one.getAttribute("xlink:href")).cloneNode();
    path.removeAttribute("id");
    path.setAttribute("style", `${one.getAttribute("style") ?? ""};${path.getAttribute("style") ?? ""}`);
    path.setAttribute("transform", `translate(${one.x.baseVal.value} ${one.y.baseVal.value})`);
    one.replaceWith(path);
  }
  for (const one of copy.querySelectorAll("defs path, style")) one.remove();
  // Text may stand out of the box.
  const boxes = [copy.viewBox.baseVal, ...Array.from(copy.querySelectorAll("text"), one => one.getBBox())];
  const [left, top] = ["x", "y"].map(side => Math.min(...boxes.map(box => box[side])));
  const right = Math.max(...boxes.map(box => box.x + box.width));
  const bottom = Math.max(...boxes.map(box => box.y + box.height));
  copy.setAttribute("viewBox", [left, top, right - left, bottom - top].map(one => Number(one.toFixed(2))).join(" "));
  copy.setAttribute("width", right - left);
  copy.setAttribute("height", bottom - top);
  const styles = Array.from(copy.querySelectorAll("path, rect, line, text, g"), one => {
    const style = getComputedStyle(one);
    return [one, STYLES.filter(name => one.tagName !== "g" || name === "opacity")
      .map(name => `${name}:${style.getPropertyValue(name)}`).join(";")];
  });
  for (const [one, style] of styles) {
    one.setAttribute("style", style);
    one.removeAttribute("class");
  }
  const made = use(copy);
  host.remove();
  return made;
}

const bytesOf = address => Uint8Array.from(atob(address.split(",")[1]), letter => letter.charCodeAt(0));
const titled = svg => (svg.getAttribute("aria-label") ?? "Figure").split(":")[0];
const serialised = copy => new XMLSerializer().serializeToString(copy);

async function asPng(svg) {
  const text = standalone(svg, serialised);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  const scale = 4; // 288 dots an inch, where a unit is a point
  [canvas.width, canvas.height] = [image.width * scale, image.height * scale];
  const brush = canvas.getContext("2d");
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(image, 0, 0, canvas.width, canvas.height);
  return bytesOf(canvas.toDataURL("image/png"));
}

/* PDF 1.4: paths stay paths, and text stays text in two of the fonts that every reader has. Any other letter
   is a small picture in a font of its own, and can be searched and copied too. */

// Widths of Helvetica's letters from the blank to the tilde, in thousandths of its size.
const WIDTHS = [278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
  556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500,
  667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556,
  556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500,
  500, 500, 334, 260, 334, 584];
// Letter: font, code, width. Symbol's touch their neighbours, and get AIR.
const AIR = 60;
const LETTERS = new Map([
  ["–", ["F1", 0x96, 556]], ["…", ["F1", 0x85, 1000]], ["’", ["F1", 0x92, 222]], ["\u00a0", ["F1", 0x20, 278]],
  ["ε", ["F2", 0x65, 439 + AIR]], ["δ", ["F2", 0x64, 494 + AIR]], ["σ", ["F2", 0x73, 603 + AIR]],
  ["−", ["F2", 0x2d, 549 + AIR]], ["≈", ["F2", 0xbb, 549 + AIR]], ["≤", ["F2", 0xa3, 549 + AIR]],
  ["≥", ["F2", 0xb3, 549 + AIR]], ["∞", ["F2", 0xa5, 713 + AIR]], ["→", ["F2", 0xae, 987 + AIR]],
]);
WIDTHS.forEach((width, i) => LETTERS.set(String.fromCharCode(32 + i), ["F1", 32 + i, width]));
// Letters with accents are as wide as without them, but for i.
for (let code = 0xc0; code <= 0xff; code += 1) {
  const [base, accent] = String.fromCharCode(code).normalize("NFD");
  if (accent) LETTERS.set(String.fromCharCode(code), ["F1", code, base === "i" ? 278 : LETTERS.get(base)[2]]);
}
const EM = 160; // pixels of a letter that is a picture

const hex = (number, digits = 2) => number.toString(16).padStart(digits, "0");
const utf16 = text => Array.from({ length: text.length }, (_, i) => hex(text.charCodeAt(i), 4)).join("");
const short = number => String(Number(number.toFixed(3)));
const shorts = numbers => numbers.map(short).join(" ");

function picture(letter) {
  const canvas = document.createElement("canvas");
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const font = `${EM}px sans-serif`;
  brush.font = font;
  const width = brush.measureText(letter).width;
  [canvas.width, canvas.height] = [8 * Math.ceil((width + 1) / 8), 1.4 * EM];
  brush.font = font;
  brush.fillText(letter, 0, 1.05 * EM);
  const { data } = brush.getImageData(0, 0, canvas.width, canvas.height);
  let bits = "";
  for (let at = 0; at < data.length; at += 32) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit += 1) byte = 2 * byte + (data[at + 4 * bit + 3] > 127);
    bits += hex(byte);
  }
  const unit = 1000 / EM;
  const box = [canvas.width * unit, 0, 0, canvas.height * unit, 0, -0.35 * 1000];
  return { width: width * unit, content: `${shorts([width * unit, 0, 0, -350, box[0], 1050])} d1 ${shorts(box)} cm\n`
    + `BI /W ${canvas.width} /H ${canvas.height} /IM true /D [1 0] /F /AHx ID ${bits}> EI` };
}

function outline(one) {
  const number = name => one[name].baseVal.value;
  if (one.tagName === "rect") return `${shorts(["x", "y", "width", "height"].map(number))} re`;
  if (one.tagName === "line") {
    const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map(number).map(short);
    return `${x1} ${y1} m ${x2} ${y2} l`;
  }
  const done = [];
  let [x, y, from] = [0, 0, [0, 0]];
  for (const [, command, rest] of one.getAttribute("d").matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
    const numbers = (rest.match(/-?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?/g) ?? []).map(Number);
    const step = { M: 2, L: 2, H: 1, V: 1, C: 6, Q: 4, Z: 0, z: 0 }[command];
    if (step === undefined) throw new Error(`${command} in the data of a path: expected one of M, L, H, V, C, Q, Z`);
    for (let i = 0; i === 0 || i < numbers.length; i += step || 1) {
      let now = numbers.slice(i, i + step);
      if (command === "H") now = [now[0], y];
      if (command === "V") now = [x, now[0]];
      if (command === "Q") {
        const [a, b, c, d] = now;
        now = [x + 2 * (a - x) / 3, y + 2 * (b - y) / 3, c + 2 * (a - c) / 3, d + 2 * (b - d) / 3, c, d];
      }
      if (command === "M" && i === 0) from = now;
      if (!step) now = from;
      [x, y] = now.slice(-2);
      done.push(!step ? "h" : `${shorts(now)} ${command === "M" && i === 0 ? "m" : now.length > 2 ? "c" : "l"}`);
    }
  }
  return done.join(" ");
}

function pdf(copy, title) {
  const { x: left, y: top, width, height } = copy.viewBox.baseVal;
  const base = copy.getScreenCTM().inverse();
  const pictures = new Map();
  const shades = new Map();
  const content = [`1 0 0 -1 ${shorts([-left, top + height])} cm`];
  const colour = text => {
    const parts = text.match(/[\d.]+/g)?.map(Number);
    return text === "none" || !parts || parts[3] === 0 ? null : shorts(parts.slice(0, 3).map(part => part / 255));
  };
  const opacity = one => one === copy ? 1 : Number(getComputedStyle(one).opacity) * opacity(one.parentNode);
  const known = letter => {
    const code = letter.codePointAt(0);
    if (LETTERS.has(letter)) return LETTERS.get(letter);
    if (!pictures.has(letter) && pictures.size < 256) pictures.set(letter, picture(letter));
    if (!pictures.has(letter)) return LETTERS.get("?");
    return ["F3", [...pictures.keys()].indexOf(letter), pictures.get(letter).width, code];
  };

  const write = (one, style, filled, stroked) => {
    const size = parseFloat(style.fontSize);
    const letters = Array.from(one.textContent.replace(/\s+/g, " ").trim(), known);
    const wide = size * letters.reduce((sum, [, , width]) => sum + width, 0) / 1000;
    const start = { middle: wide / 2, end: wide }[style.textAnchor] ?? 0;
    const at = name => one[name].baseVal.length ? one[name].baseVal[0].value : 0;
    const runs = [];
    for (const [font, code] of letters) {
      if (runs.at(-1)?.[0] !== font) runs.push([font, ""]);
      runs.at(-1)[1] += hex(code);
    }
    const air = font => short(font === "F2" ? AIR * size / 1000 : 0);
    const said = runs.map(([font, codes]) => `/${font} ${short(size)} Tf ${air(font)} Tc <${codes}> Tj`).join(" ");
    const place = `1 0 0 -1 ${shorts([at("x") - start, at("y")])} Tm`;
    if (stroked) content.push(`BT ${place} 1 Tr ${said} ET`);
    if (filled) content.push(`BT ${place} 0 Tr ${said} ET`);
  };

  for (const one of copy.querySelectorAll("path, rect, line, text")) {
    if (one.closest("defs")) continue;
    const style = getComputedStyle(one);
    const [fill, stroke] = [one.tagName === "line" ? null : colour(style.fill), colour(style.stroke)];
    if (!fill && !stroke) continue;
    content.push("q");
    const clip = one.closest("[clip-path]")?.getAttribute("clip-path").slice(5, -1);
    if (clip) content.push(`${outline(copy.querySelector(`[id="${clip}"] rect`))} W n`);
    const { a, b, c, d, e, f } = base.multiply(one.getScreenCTM());
    if (String([a, b, c, d, e, f].map(short)) !== "1,0,0,1,0,0") content.push(`${shorts([a, b, c, d, e, f])} cm`);
    const faint = ["fillOpacity", "strokeOpacity"].map(name => short(opacity(one) * Number(style[name])));
    if (String(faint) !== "1,1") {
      if (!shades.has(String(faint))) shades.set(String(faint), `/ca ${faint[0]} /CA ${faint[1]}`);
      content.push(`/G${[...shades.keys()].indexOf(String(faint))} gs`);
    }
    if (fill) content.push(`${fill} rg`);
    if (stroke) {
      const dashes = style.strokeDasharray === "none" ? [] : style.strokeDasharray.match(/[\d.]+/g).map(Number);
      const cap = ["butt", "round", "square"].indexOf(style.strokeLinecap);
      const join = ["miter", "round", "bevel"].indexOf(style.strokeLinejoin);
      const width = short(parseFloat(style.strokeWidth));
      content.push(`${stroke} RG ${width} w [${shorts(dashes)}] 0 d ${cap} J ${Math.max(join, 0)} j`);
    }
    if (one.tagName === "text") write(one, style, fill, stroke);
    else content.push(`${outline(one)} ${fill && stroke ? "B" : fill ? "f" : "S"}`);
    content.push("Q");
  }

  const objects = [];
  const add = text => objects.push(text);
  const stream = text => `<< /Length ${text.length} >>\nstream\n${text}\nendstream`;
  add("<< /Type /Catalog /Pages 2 0 R >>");
  add("<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
  const fonts = ["/F1 5 0 R", "/F2 6 0 R", ...(pictures.size ? ["/F3 8 0 R"] : [])].join(" ");
  const states = [...shades.values()].map((state, i) => `/G${i} << ${state} >>`).join(" ");
  add(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${shorts([width, height])}] /Contents 4 0 R`
    + ` /Resources << /Font << ${fonts} >> /ExtGState << ${states} >> >> >>`);
  add(stream(content.join("\n")));
  add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>");
  add("<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>");
  add(`<< /Title <feff${utf16(title)}> >>`);
  if (pictures.size) {
    const letters = [...pictures.keys()];
    const names = letters.map((_, i) => `/g${i}`);
    add(`<< /Type /Font /Subtype /Type3 /FontBBox [0 -350 1500 1050] /FontMatrix [.001 0 0 .001 0 0]`
      + ` /CharProcs << ${names.map((name, i) => `${name} ${10 + i} 0 R`).join(" ")} >> /Resources << >>`
      + ` /Encoding << /Type /Encoding /Differences [0 ${names.join(" ")}] >>`
      + ` /FirstChar 0 /LastChar ${letters.length - 1} /ToUnicode 9 0 R`
      + ` /Widths [${shorts([...pictures.values()].map(one => one.width))}] >>`);
    const lines = letters.map((letter, i) => `1 beginbfchar <${hex(i)}> <${utf16(letter)}> endbfchar`);
    add(stream(`/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Letters def /CMapType 2 def\n`
      + `1 begincodespacerange <00> <ff> endcodespacerange\n${lines.join("\n")}\nendcmap end end`));
    for (const one of pictures.values()) add(stream(one.content));
  }
  let text = "%PDF-1.4\n";
  const places = objects.map((object, i) => {
    const place = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return place;
  });
  const table = places.map(place => `${String(place).padStart(10, "0")} 00000 n \n`).join("");
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}`
    + `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 7 0 R >>\nstartxref\n${text.length}\n%%EOF\n`;
  return Uint8Array.from(text, letter => letter.charCodeAt(0));
}

/* A table: rows of cells. What is small in a cell stands beside its number. */

function cell(element) {
  const copy = element.cloneNode(true);
  const plain = one => one.textContent.replace(/\s+/g, " ").trim();
  for (const one of copy.querySelectorAll("[aria-hidden], .near")) one.remove();
  const beside = Array.from(copy.querySelectorAll(".mark, small"), plain).filter(Boolean);
  for (const one of copy.querySelectorAll(".mark, small")) one.remove();
  return { main: plain(copy), beside, strong: element.classList.contains("highest"), span: element.colSpan };
}

const named = table => table.closest("[role=region]")?.getAttribute("aria-label")
  ?? table.caption?.textContent.trim() ?? "Table";

function contentOf(table) {
  const rows = section => Array.from(section?.rows ?? []).filter(row => !row.hidden).map(row =>
    [...row.cells].flatMap(one => {
      const found = cell(one);
      return [found, ...Array.from({ length: found.span - 1 }, () => ({ main: "", beside: [] }))];
    }));
  const [head] = rows(table.tHead);
  const caption = table.caption ? cell(table.caption).main : named(table);
  return { head, rows: [...table.tBodies].flatMap(rows).concat(rows(table.tFoot)), caption };
}

const MATHS = { "−": "-", "ε": "\\varepsilon", "δ": "\\delta", "σ": "\\sigma", "≈": "\\approx", "≤": "\\le", "≥": "\\ge",
  "∞": "\\infty", "→": "\\rightarrow", "×": "\\times", "²": "^2", "±": "\\pm" };
const TEXTS = { "\\": "\\textbackslash{}", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "–": "--", "…": "\\ldots{}",
  "’": "'", "[": "{[}", "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}" };

function tex(text) {
  const plain = letter => "{}$&#_%".includes(letter) ? `\\${letter}` : letter;
  return Array.from(text, letter => MATHS[letter] ? `$${MATHS[letter]}$` : TEXTS[letter] ?? plain(letter)).join("");
}

const joined = (lines, end = "\n") => lines.map(line => line + end).join("");

// A column of its own for what stands beside the numbers of another one.
function asCsv({ head, rows }) {
  const wide = head.map((_, i) => rows.some(row => row[i]?.beside.length));
  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const line = (row, beside) => row.flatMap((one, i) => [one.main, ...(wide[i] ? [beside(one)] : [])])
    .map(text => quoted(text.replaceAll("−", "-"))).join(",");
  return joined([line(head, one => `${one.main}, beside`), ...rows.map(row => line(row, one => one.beside.join(", ")))]);
}

function asLatex({ head, rows, caption }) {
  const heading = ({ main, beside }) => beside.length
    ? `\\shortstack[r]{${[main, ...beside].map((text, i) => (i ? "\\footnotesize " : "") + tex(text)).join("\\\\")}}` : tex(main);
  const shown = ({ main, beside, strong }) => [strong ? `\\textbf{${tex(main)}}` : tex(main),
    ...beside.map(text => `{\\footnotesize ${tex(text)}}`)].filter(Boolean).join(" ");
  const line = texts => `${texts.join(" & ")} \\\\`;
  return joined(["% needs \\usepackage{booktabs}", "\\begin{table}", "\\centering", `\\caption{${tex(caption)}}`,
    `\\begin{tabular}{l${"r".repeat(head.length - 1)}}`, "\\toprule", line(head.map(heading)), "\\midrule",
    ...rows.map(row => line(row.map(shown))), "\\bottomrule", "\\end{tabular}", "\\end{table}"]);
}

function asMarkdown({ head, rows, caption }) {
  const plain = text => text.replace(/[\\`*_|<>[\]]/g, "\\$&");
  const shown = ({ main, beside, strong }) => [strong ? `**${plain(main)}**` : plain(main),
    ...(beside.length ? [`(${beside.map(plain).join("; ")})`] : [])].filter(Boolean).join(" ");
  const line = texts => `| ${texts.join(" | ")} |`;
  return joined([plain(caption), "", line(head.map(shown)), line(head.map((_, i) => i ? "---:" : "---")),
    ...rows.map(row => line(row.map(shown)))]);
}

/* The menus. */

function save(made, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([made], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const TABLES = { CSV: ["csv", "text/csv", asCsv], LaTeX: ["tex", "application/x-tex", asLatex],
  Markdown: ["md", "text/markdown", asMarkdown] };
const FIGURES = {
  SVG: ["svg", "image/svg+xml", svg => standalone(svg, serialised)],
  PDF: ["pdf", "application/pdf", svg => standalone(svg, copy => pdf(copy, titled(svg)))],
  PNG: ["png", "image/png", asPng],
};

function menu(label, kinds, source) {
  const box = document.createElement("details");
  const summary = document.createElement("summary");
  box.className = "take";
  summary.textContent = "Take away";
  summary.setAttribute("aria-label", `Take away: ${label()}`);
  box.append(summary);
  for (const [kind, [ending, type, make]] of Object.entries(kinds)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = kind;
    button.addEventListener("click", async () => {
      const name = [document.body.dataset.name, label()].map(fileName).filter(Boolean).join("-");
      save(await make(source()), `${name}.${ending}`, type);
    });
    box.append(" ", button);
  }
  return box;
}

const offerFigure = svg => (legendOf(svg) ?? svg).after(menu(() => titled(svg), FIGURES, () => svg));

// Tables with all their digits are packed in the page.
async function unpacked(link) {
  const stream = new Blob([bytesOf(link.href)]).stream().pipeThrough(new DecompressionStream("gzip"));
  save(await new Response(stream).text(), link.download.replace(/\.gz$/, ""), "text/csv");
}

addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll('a[href^="data:application/gzip"]')) {
    link.addEventListener("click", event => {
      event.preventDefault();
      unpacked(link);
    });
  }
  for (const svg of document.querySelectorAll("svg")) offerFigure(svg);
  for (const table of document.querySelectorAll("table")) {
    const place = table.closest(".scroll") ?? table;
    place.after(menu(() => named(table), TABLES, () => contentOf(table)));
  }
});
