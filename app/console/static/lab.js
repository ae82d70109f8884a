// The threshold lab: stored prompts with their similarity in each view, and sliders that say from where one is flagged.

import { asked, made } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const KINDS = { own: "the campaign's own", outside: "in no campaign, the nearest", other: "of other campaigns, some" };
const SHOWN = 25;
const WIDTH = 600, HEIGHT = 70, BINS = 100;

const drawn = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const whole = (number) => Math.round(number).toLocaleString("en");
const isFlagged = (prompt, thresholds) =>
  prompt.similarities.some((similarity, at) => similarity !== null && similarity >= thresholds[at]);

/** How many prompts lie at each similarity in one view: its own upwards, all others downwards. */
function histogram(sample, at, low) {
  const bins = { own: new Float64Array(BINS), rest: new Float64Array(BINS) };
  for (const prompt of sample.prompts) {
    const similarity = prompt.similarities[at];
    if (similarity === null || similarity < low) continue;
    const bin = Math.min(BINS - 1, Math.floor(((similarity - low) / (1 - low)) * BINS));
    bins[prompt.kind === "own" ? "own" : "rest"][bin] += 1;
  }
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Own prompts by similarity above the line, others below" });
  const half = HEIGHT / 2;
  for (const [kind, up, series] of [["own", true, "s0"], ["rest", false, "s1"]]) {
    const most = Math.max(1, ...bins[kind]);
    bins[kind].forEach((count, bin) => {
      if (!count) return;
      const height = Math.max(1.5, (count / most) * (half - 2));
      svg.append(drawn("rect", { class: series, x: (bin * WIDTH) / BINS, y: up ? half - height : half, width: WIDTH / BINS - 1, height }));
    });
  }
  const line = drawn("line", { class: "mark", y1: 0, y2: HEIGHT, x1: 0, x2: 0 });
  svg.append(line);
  const move = (threshold) => {
    const x = ((threshold - low) / (1 - low)) * WIDTH;
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  };
  return { svg, move };
}

function slider(sample, at, changed) {
  const each = sample.thresholds[at];
  const found = sample.prompts.map((prompt) => prompt.similarities[at]).filter((value) => value !== null);
  const low = Math.floor(Math.min(each.threshold, ...found) * 20) / 20 - 0.05;
  const { svg, move } = histogram(sample, at, low);
  const input = made("input", { type: "range", min: low, max: 1, step: 0.001, value: each.threshold });
  const output = made("output", {}, each.threshold.toFixed(3));
  const label = made("label", {}, `${each.view} text, needs a similarity of `);
  label.append(output, input);
  const reset = made("button", { type: "button" }, "As it is");
  const set = (value) => {
    input.value = value;
    output.textContent = Number(value).toFixed(3);
    move(Number(value));
    changed(at, Number(value));
  };
  input.addEventListener("input", () => set(input.value));
  reset.addEventListener("click", () => set(each.threshold));
  move(each.threshold);
  const box = made("div", { class: "slider" });
  box.append(label, svg, reset);
  return box;
}

function tell(lab, sample, now, then) {
  const rows = Object.entries(KINDS).map(([kind, name]) => {
    const prompts = sample.prompts.filter((prompt) => prompt.kind === kind);
    const sum = (thresholds, value) =>
      prompts.reduce((total, prompt) => total + (isFlagged(prompt, thresholds) ? value(prompt) : 0), 0);
    const isSample = kind === "own" && prompts.length < sample.own_total;
    const told = (number) => (isSample && number ? `about ${whole(number)}` : whole(number));
    const row = made("tr", { "data-kind": kind });
    row.append(made("th", { scope: "row" }, name));
    const cells = [
      isSample ? `${whole(prompts.length)} of ${whole(sample.own_total)}` : whole(prompts.length),
      told(sum(now, (prompt) => prompt.weight)),
      told(sum(then, (prompt) => prompt.weight)),
      told(sum(then, (prompt) => prompt.weight * prompt.events)),
    ];
    row.append(...cells.map((text) => made("td", { class: "number" }, text)));
    return row;
  });
  lab.querySelector("tbody").replaceChildren(...rows);
  const changes = sample.prompts.filter((prompt) => isFlagged(prompt, now) !== isFlagged(prompt, then));
  const items = changes.slice(0, SHOWN).map((prompt) => {
    const item = made("li", { class: "template" });
    const is = isFlagged(prompt, then) ? "now reaches it" : "no longer reaches it";
    item.append(made("strong", {}, `${is}, ${KINDS[prompt.kind]}`), " ");
    if (prompt.campaign && prompt.kind === "other") {
      item.append(made("a", { href: `/console/campaigns/${prompt.campaign}` }, prompt.campaign), " ");
    }
    item.append(made("bdi", {}, prompt.text));
    return item;
  });
  if (!items.length) items.push(made("li", { class: "none" }, "Nothing, of what was looked at."));
  if (changes.length > SHOWN) items.push(made("li", { class: "none" }, `… and ${whole(changes.length - SHOWN)} more.`));
  lab.querySelector(".changes").replaceChildren(...items);
}

async function begin(lab) {
  const sample = await (await asked(lab.dataset.sample)).json();
  const now = sample.thresholds.map((each) => each.threshold);
  const then = [...now];
  const changed = (at, value) => {
    then[at] = value;
    tell(lab, sample, now, then);
  };
  lab.querySelector(".sliders").replaceChildren(...now.map((_, at) => slider(sample, at, changed)));
  tell(lab, sample, now, then);
  lab.setAttribute("aria-busy", "false");
}

const lab = document.getElementById("lab");
if (lab) begin(lab).catch((error) => lab.prepend(made("p", { class: "problem", role: "alert" }, error.message)));
