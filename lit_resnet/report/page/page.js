// The list of runs, sorted and chosen, and the curves of what it shows. Without this script the list is as it is.
"use strict";
(() => {
const element = (id) => document.getElementById(id);
const data = JSON.parse(element("data").textContent);
const body = document.querySelector(".runs tbody");
const heads = [...document.querySelectorAll(".runs thead th")];
const selects = [...document.querySelectorAll("select[data-column]")];

// A run of the data and its row of the table are one thing.
const runs = data.runs.map((run, number) => {
  const row = body.rows[number];
  const texts = [...row.cells].map((cell) => cell.textContent);
  const words = texts.join(" ").toLowerCase();
  const [colours, dash] = data.looks[run.cell];
  return { ...run, colours, dash, row, texts, words, done: texts[data.state] === "done", curved: Object.keys(run.curves).length > 0 };
});
const box = (metric) => element(`curve-${metric.name}`);
const cells = new Map();
for (const run of runs) {
  if (!cells.has(run.cell)) cells.set(run.cell, []);
  cells.get(run.cell).push(run);
}
// Every colour has a value for a white page and one for a dark page; paper is white.
const night = matchMedia("(prefers-color-scheme: dark)");
const colour = (run) => run.colours[night.matches && !("print" in document.documentElement.dataset) ? 1 : 0];
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const drawn = (run) => run.shown && run.curved && run.tick.checked;

// ---- The table

const collator = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return collator.compare(a, b);
}

/** Sort the rows by a column; what has no value is last in either order, and equals stay in the order of the grid. */
function sort(column, descending) {
  const value = (run) => run.values[column];
  const known = runs.filter((run) => value(run) !== null);
  known.sort((a, b) => (descending ? -1 : 1) * compare(value(a), value(b)));
  body.append(...known.map((run) => run.row), ...runs.filter((run) => value(run) === null).map((run) => run.row));
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
}

/** Show the runs that all controls allow, and draw them. */
function choose() {
  const words = element("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = selects.filter((select) => select.value).map((select) => [Number(select.dataset.column), select.value]);
  const oddAlone = element("only-odd").checked;
  for (const run of runs) {
    run.shown = wanted.every(([column, text]) => run.texts[column] === text)
      && words.every((word) => run.words.includes(word)) && (run.odd || !oddAlone);
    run.row.hidden = !run.shown;
  }
  refresh();
}

function reset() {
  for (const control of [element("text"), ...selects]) control.value = "";
  element("only-odd").checked = false;
  for (const run of runs) run.tick.checked = true;
  body.append(...runs.map((run) => run.row));
  heads.forEach((head) => head.removeAttribute("aria-sort"));
}

/** A button that chooses among all runs. */
function quick(id, count, set) {
  element(id).append(` (${count})`);
  element(id).disabled = count === 0;
  element(id).addEventListener("click", () => { reset(); set(); choose(); });
}

/** Choose a state; where all runs are in the same one there is no control for it. */
function chooseState(state) {
  const select = selects.find((one) => Number(one.dataset.column) === data.state);
  if (select) select.value = state;
}

/** Draw all of some runs that are shown, or none of them. */
function tick(some, on) {
  for (const run of some) if (run.shown) run.tick.checked = on;
  refresh();
}

// ---- The legend: a button a cell

/** A piece of a run's line. */
function sample(run) {
  const space = "http://www.w3.org/2000/svg";
  const [picture, line] = ["svg", "line"].map((name) => document.createElementNS(space, name));
  const look = { x1: 0, x2: 30, y1: 2, y2: 2, "stroke-width": 3, "stroke-dasharray": run.dash.map((length) => 1.3 * length) };
  for (const [name, value] of Object.entries(look)) line.setAttribute(name, value);
  picture.setAttribute("aria-hidden", "true");
  picture.append(line);
  return picture;
}

/** Colour what is not drawn on the canvas. */
function dress() {
  for (const members of cells.values()) members.button.querySelector("line").setAttribute("stroke", colour(members[0]));
  for (const run of runs) run.tick.style.accentColor = colour(run);
}

function legendButton(cell, members) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(sample(members[0]), cell);
  button.addEventListener("click", () => tick(members, !members.some(drawn)));
  lights(button, (run) => run.cell === cell);
  return button;
}

function refresh() {
  for (const members of cells.values()) {
    members.button.hidden = !members.some((run) => run.shown);
    members.button.setAttribute("aria-pressed", members.some(drawn));
  }
  const shown = runs.filter((run) => run.shown).length;
  element("shown").textContent = `${shown} of ${runs.length} runs shown, ${runs.filter(drawn).length} drawn`;
  redraw();
}

// ---- The curves

const MARGIN = { left: 48, right: 12, top: 8, bottom: 38 };
const BANDS = 12; // more of them hide the lines
const over = element("over");
let lines = []; // what is drawn: { runs, metric, name, steps, mean, low, high }
let view; // how steps and values become places on the canvas
let place = null; // of the pointer, or of the arrow keys
let waiting; // a drawing

/** A metric of one run, or its mean over some. A mean over other seeds at each step would jump: only the steps that all of the curves have. */
function line(members, metric) {
  const own = members.map((run) => {
    const [steps, values] = run.curves[metric.name];
    return new Map(data.steps[steps].map((step, i) => [step, values[i] / 10 ** metric.digits]));
  });
  const steps = [...own[0].keys()].filter((step) => own.every((curve) => curve.has(step)));
  const values = steps.map((step) => own.map((curve) => curve.get(step)));
  const seeds = members.length > 1 ? `mean of ${members.length} seeds` : `seed ${members[0].seed}`;
  return {
    runs: members, metric, steps, name: `${members[0].cell}, ${seeds}`,
    mean: values.map((v) => v.reduce((a, b) => a + b) / v.length),
    low: values.map((v) => Math.min(...v)), high: values.map((v) => Math.max(...v)),
  };
}

/** All that is to be drawn. Unfinished runs are no part of a mean, which would end where they are. */
function collect() {
  const alone = (run) => !element("mean").checked || !run.done;
  return data.metrics.filter((metric) => box(metric).checked).flatMap((metric) =>
    [...cells.values()].flatMap((members) => {
      const here = members.filter((run) => drawn(run) && run.curves[metric.name]);
      const together = here.filter((run) => !alone(run));
      return [...(together.length ? [together] : []), ...here.filter(alone).map((run) => [run])];
    }).map((some) => line(some, metric)).filter((l) => l.steps.length));
}

function scales(width, height) {
  const log = element("log").checked;
  const highest = lines.reduce((most, l) => l.high.reduce((a, v) => Math.max(a, v), most), -Infinity);
  const smallest = Math.max(...lines.map((l) => 100 / 10 ** l.metric.digits), 0) || 1; // of an axis
  const top = Number(element("top").value) || Math.max(smallest, highest);
  // Values are drawn to their last digit, so one of none lies on the floor of a logarithmic axis.
  const least = lines.reduce((least, l) => l.low.reduce((a, v) => (v > 0 && v < a ? v : a), least), top / 10);
  const end = Math.max(1, ...lines.map((l) => l.steps.at(-1)));
  const [w, h] = [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom];
  const part = log ? (v) => Math.log(Math.max(v, least) / least) / Math.log(top / least) : (v) => v / top;
  return {
    width, height, log, top, least, end,
    x: (step) => MARGIN.left + (w * step) / end,
    y: (value) => MARGIN.top + h * (1 - part(value)),
  };
}

/** 1, 2 or 5 times a power of ten: so far apart that about `count` of them reach the end. */
function ticks(end, count) {
  const raw = end / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const gap = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  return Array.from({ length: Math.floor(end / gap + 1e-9) + 1 }, (_, i) => Number((i * gap).toPrecision(6)));
}

function valueTicks() {
  const all = [-4, -3, -2, -1, 0, 1, 2, 3].map((power) => 10 ** power).flatMap((power) => [power, 2 * power, 5 * power]);
  return view.log ? all.filter((value) => value >= view.least && value <= view.top) : ticks(view.top, 6);
}

function axes(context) {
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  context.strokeStyle = ink("--line");
  context.fillStyle = ink("--soft");
  const mark = (text, x, y, align) => { context.textAlign = align; context.fillText(text, x, y); };
  const rule = (...points) => { context.beginPath(); for (const point of points) context.lineTo(...point); context.stroke(); };
  const floor = view.height - MARGIN.bottom;
  for (const value of valueTicks()) {
    const y = Math.round(view.y(value)) + 0.5;
    rule([MARGIN.left, y], [view.width - MARGIN.right, y]);
    mark(Number(value.toPrecision(6)), MARGIN.left - 6, y + 4, "right");
  }
  for (const step of ticks(view.end, Math.max(2, view.width / 130))) {
    rule([view.x(step), MARGIN.top], [view.x(step), floor]);
    mark(step.toLocaleString("en"), view.x(step), floor + 16, "center");
  }
  mark("iterations", (MARGIN.left + view.width) / 2, view.height - 5, "center");
  if (!lines.length) mark("no curves of these runs", (MARGIN.left + view.width) / 2, floor / 2, "center");
  context.save();
  context.rotate(-Math.PI / 2);
  const drawnOf = data.metrics.filter((metric) => box(metric).checked);
  mark(drawnOf.map((metric) => `${metric.label} ${metric.unit}`.trim()).join(", "), -(MARGIN.top + floor) / 2, 12, "center");
  context.restore();
}

function trace(context, l, values) {
  values.forEach((value, i) => context.lineTo(view.x(l.steps[i]), view.y(value)));
}

function stroke(context, l, thicker) {
  context.strokeStyle = colour(l.runs[0]);
  context.setLineDash(l.runs[0].dash);
  context.lineWidth = (l.metric.thick ? 1.7 : 0.8) + thicker;
  context.beginPath();
  trace(context, l, l.mean);
  context.stroke();
  context.setLineDash([]);
}

function band(context, l) {
  context.fillStyle = colour(l.runs[0]);
  context.globalAlpha = 0.15;
  context.beginPath();
  trace(context, l, l.high);
  [...l.low.keys()].reverse().forEach((i) => context.lineTo(view.x(l.steps[i]), view.y(l.low[i])));
  context.fill();
  context.globalAlpha = 1;
}

/** An empty canvas as sharp as the screen; what is drawn on it then stays within the axes. */
function blank(canvas, decorate) {
  const sharp = window.devicePixelRatio || 1;
  canvas.width = view.width * sharp;
  canvas.height = view.height * sharp;
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  decorate?.(context);
  context.beginPath();
  context.rect(MARGIN.left, 0, view.width - MARGIN.left, view.height - MARGIN.bottom + 1);
  context.clip();
  context.lineJoin = "round";
  return context;
}

function draw() {
  clearTimeout(waiting);
  waiting = undefined;
  lines = collect();
  view = scales(over.clientWidth, over.clientHeight);
  const context = blank(element("lines"), axes);
  if (lines.length <= BANDS) for (const l of lines) band(context, l);
  for (const l of lines) stroke(context, l, 0);
  dim();
}

/** Draw when what is under way has ended: once, however much it changes. */
function redraw() {
  waiting ??= setTimeout(draw);
}

// ---- What is under the pointer

function nearest() {
  let found = { distance: Infinity };
  for (const l of lines) {
    for (const [i, step] of l.steps.entries()) {
      const distance = Math.hypot(view.x(step) - place.x, view.y(l.mean[i]) - place.y);
      if (distance < found.distance) found = { l, i, distance };
    }
  }
  return found;
}

/** Draw the curves of some runs thick, over all others, and mark their rows. */
function light(wanted) {
  const context = blank(over);
  context.fillStyle = ink("--veil");
  context.fillRect(0, 0, view.width, view.height);
  for (const l of lines) if (l.runs.some(wanted)) stroke(context, l, 1.2);
  for (const run of runs) run.row.classList.toggle("lit", wanted(run));
}

function lights(target, wanted) {
  for (const name of ["pointerenter", "focusin"]) target.addEventListener(name, () => light(wanted));
  for (const name of ["pointerleave", "focusout"]) target.addEventListener(name, dim);
}

function dim() {
  blank(over);
  element("tip").hidden = true;
  for (const run of runs) run.row.classList.remove("lit");
}

function point() {
  const { l, i } = nearest();
  if (!l) return dim();
  light((run) => l.runs.includes(run));
  const [x, y] = [view.x(l.steps[i]), view.y(l.mean[i])];
  const context = over.getContext("2d");
  context.fillStyle = colour(l.runs[0]);
  context.beginPath();
  context.arc(x, y, 4, 0, 7);
  context.fill();
  const tip = element("tip");
  const value = `${l.metric.label} ${l.mean[i].toFixed(l.metric.digits)} ${l.metric.unit}`.trim();
  tip.textContent = `${l.name}: ${value} at iteration ${l.steps[i].toLocaleString("en")}`;
  tip.hidden = false;
  tip.style.left = `${Math.max(0, Math.min(x + 12, view.width - tip.offsetWidth))}px`;
  tip.style.top = `${y > view.height / 2 ? y - tip.offsetHeight - 12 : y + 12}px`;
}

for (const name of ["pointermove", "pointerdown"]) {
  over.addEventListener(name, (event) => { place = { x: event.offsetX, y: event.offsetY }; point(); });
}
for (const name of ["pointerleave", "blur"]) over.addEventListener(name, dim);
over.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] }[event.key];
  if (!move) return;
  event.preventDefault();
  place ??= { x: view.width / 2, y: view.height / 2 };
  place.x = Math.max(0, Math.min(place.x + move[0], view.width));
  place.y = Math.max(0, Math.min(place.y + move[1], view.height));
  point();
});

// ---- Bring it to life

heads.forEach((head, column) => {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") === "ascending"));
});
for (const run of runs) {
  const label = document.createElement("label");
  run.tick = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, hidden: !run.curved });
  run.tick.setAttribute("aria-label", `draw ${run.cell}, seed ${run.seed}`);
  label.append(run.tick, " ", ...run.row.cells[0].childNodes);
  run.row.cells[0].append(label);
  run.tick.addEventListener("change", refresh);
  lights(run.row, (other) => other === run);
}
for (const [cell, members] of cells) {
  members.button = legendButton(cell, members);
  element("legend").append(members.button);
}
const tally = (wanted) => runs.filter(wanted).length;
quick("best", tally((run) => run.done), () => { chooseState("done"); sort(data.judged, data.higher); });
quick("failed", tally((run) => run.texts[data.state] === "failed"), () => chooseState("failed"));
quick("odd", tally((run) => run.odd), () => { element("only-odd").checked = true; });
element("reset").addEventListener("click", () => { reset(); choose(); });
element("draw-all").addEventListener("click", () => tick(runs, true));
element("draw-none").addEventListener("click", () => tick(runs, false));
for (const control of [element("text"), element("only-odd"), ...selects]) control.addEventListener("input", choose);
for (const control of [...data.metrics.map(box), ...["mean", "log", "top"].map(element)]) {
  control.addEventListener("input", redraw);
}
element("mean").checked = cells.size < runs.length;
element("explore").hidden = element("curves").hidden = false;
element("list").classList.add("live");
night.addEventListener("change", () => { dress(); redraw(); });
window.addEventListener("beforeprint", () => { document.documentElement.dataset.print = ""; dress(); draw(); });
window.addEventListener("afterprint", () => { delete document.documentElement.dataset.print; dress(); draw(); });
dress();
new ResizeObserver(redraw).observe(element("plot"));
choose();
draw();
})();
