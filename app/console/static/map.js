// The map. Points are written straight into the pixels of a canvas: a hundred thousand take some milliseconds, on any
// machine, and no shader has to be compiled. What is drawn over them (lasso, texts) has a canvas of its own.

const COLOURS = 12; // of the style sheet, --c0 to --c11
import { asked, made } from "./dom.js";

const LEGIBLE = 14; // points in sight from which their texts are written beside them
const LISTED = 60;
const NEAR_PX = 12;
const EVERY_MS = 250;

const canvas = document.getElementById("map");
const over = document.getElementById("over");
const pen = canvas.getContext("2d", { alpha: false });
const overPen = over.getContext("2d");
const told = { title: document.getElementById("told-title"), list: document.getElementById("told") };
const view = { x: 0.5, y: 0.5, scale: 1 };
const state = { lasso: null, lassoOn: false, which: "all", texts: new Map(), asked: 0 };

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const pixel = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
const styled = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const ground = () => rgb(styled("--panel"));
const ink = () => styled("--ink");
const mixed = (one, other, share) => one.map((value, at) => Math.round(value * share + other[at] * (1 - share)));

async function load() {
  const points = await asked(canvas.dataset.points);
  const generation = points.headers.get("x-generation");
  const campaigns = await asked(`${canvas.dataset.campaigns}?${new URLSearchParams({ generation })}`);
  const bytes = await points.arrayBuffer();
  const count = bytes.byteLength / 16;
  return {
    generation,
    count,
    places: new Float32Array(bytes, 0, 2 * count),
    campaign: new Int32Array(bytes, 8 * count, count),
    row: new Int32Array(bytes, 12 * count, count),
    campaigns: await campaigns.json(),
  };
}

const sizeOf = () => Math.min(canvas.width, canvas.height) * view.scale;
const toX = (x) => (x - view.x) * sizeOf() + canvas.width / 2;
const toY = (y) => (y - view.y) * sizeOf() + canvas.height / 2;
const fromX = (px) => (px - canvas.width / 2) / sizeOf() + view.x;
const fromY = (py) => (py - canvas.height / 2) / sizeOf() + view.y;

function begin(map) {
  const alarmed = map.campaigns.map((each) => each.level !== "watch");
  const isShown = (number) => state.which === "all" || (number >= 0 && (state.which === "campaigns" || alarmed[number]));
  let paint, order;

  /** Colours and order anew: what is in no campaign first, alarmed campaigns last, on top. */
  function mix() {
    const back = ground();
    const grey = pixel(mixed([128, 134, 142], back, 0.45));
    const palette = Array.from({ length: COLOURS }, (_, at) => rgb(styled(`--c${at}`)));
    const colour = map.campaigns.map((_, at) => palette[at % COLOURS]);
    paint = Uint32Array.from(map.campaign, (number) => (number < 0 ? grey : pixel(alarmed[number] ? colour[number] : mixed(colour[number], back, 0.45))));
    const rank = (at) => (map.campaign[at] < 0 ? 0 : alarmed[map.campaign[at]] ? 2 : 1);
    order = Uint32Array.from({ length: map.count }, (_, at) => at).sort((one, other) => rank(one) - rank(other) || one - other);
    state.ground = pixel(back);
  }

  function draw() {
    const { width, height } = canvas;
    const image = pen.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer).fill(state.ground);
    const size = sizeOf(), left = width / 2 - view.x * size, top = height / 2 - view.y * size;
    const plain = view.scale > 6 ? 3 : view.scale > 2 ? 2 : 1;
    for (const at of order) {
      const number = map.campaign[at];
      if (!isShown(number)) continue;
      const radius = number >= 0 && alarmed[number] ? plain + 1 : plain;
      const px = Math.round(map.places[2 * at] * size + left), py = Math.round(map.places[2 * at + 1] * size + top);
      if (px < -radius || py < -radius || px >= width + radius || py >= height + radius) continue;
      for (let y = Math.max(0, py - radius + 1); y < Math.min(height, py + radius); y++) {
        for (let x = Math.max(0, px - radius + 1); x < Math.min(width, px + radius); x++) pixels[y * width + x] = paint[at];
      }
    }
    pen.putImageData(image, 0, 0);
    drawOver();
  }

  function drawOver() {
    overPen.clearRect(0, 0, over.width, over.height);
    if (state.lasso?.length > 1) {
      overPen.strokeStyle = ink();
      overPen.setLineDash([5, 4]);
      overPen.beginPath();
      state.lasso.forEach(([x, y], at) => (at ? overPen.lineTo(toX(x), toY(y)) : overPen.moveTo(toX(x), toY(y))));
      overPen.closePath();
      overPen.stroke();
      overPen.setLineDash([]);
    }
    overPen.font = "12px system-ui, sans-serif";
    overPen.fillStyle = ink();
    for (const at of inSight(LEGIBLE) ?? []) {
      const text = state.texts.get(at);
      if (text) overPen.fillText(text.slice(0, 60), toX(map.places[2 * at]) + 8, toY(map.places[2 * at + 1]) + 4);
    }
  }

  let waiting = 0;
  const soon = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      const began = performance.now();
      draw();
      canvas.dataset.frameMs = (performance.now() - began).toFixed(1);
      later();
    });
  };

  /** The points in sight, null if they are more than so many. */
  function inSight(most) {
    const found = [], left = fromX(0), right = fromX(canvas.width), top = fromY(0), bottom = fromY(canvas.height);
    for (let at = 0; at < map.count; at++) {
      const x = map.places[2 * at], y = map.places[2 * at + 1];
      if (x < left || x > right || y < top || y > bottom || !isShown(map.campaign[at])) continue;
      if (found.push(at) > most) return null;
    }
    return found;
  }

  const promptsOf = async (points) => {
    const rows = points.slice(0, LISTED).map((at) => map.row[at]).join(",");
    const query = new URLSearchParams({ rows, generation: map.generation });
    return (await asked(`${canvas.dataset.prompts}?${query}`)).json();
  };

  /** Writes the texts beside the points, once so few are in sight that there is room for them. */
  let timer = 0;
  function later() {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const missing = (inSight(LEGIBLE) ?? []).filter((at) => !state.texts.has(at));
      if (!missing.length) return;
      const found = new Map((await promptsOf(missing).catch(() => [])).map((each) => [each.row, each.text]));
      for (const at of missing) state.texts.set(at, found.get(map.row[at]) ?? "");
      drawOver();
    }, EVERY_MS);
  }

  const campaignLink = (number, note) => {
    const item = made("li"), one = map.campaigns[number];
    const key = made("span", { class: `key c${number % COLOURS}` });
    item.append(key, made("a", { href: `/console/campaigns/${one.id}` }, one.id), ` ${one.level}, ${note} `, made("bdi", { class: "template" }, one.template));
    return item;
  };

  /** Lists the campaigns that have points on the map, the most urgent first, for those who do not see it. */
  function tellCampaigns() {
    const counts = new Map();
    for (const number of map.campaign) if (number >= 0) counts.set(number, (counts.get(number) ?? 0) + 1);
    const rank = { strong: 0, likely: 1, watch: 2 };
    const numbers = [...counts.keys()].sort((one, other) => rank[map.campaigns[one].level] - rank[map.campaigns[other].level] || map.campaigns[other].events - map.campaigns[one].events);
    told.title.textContent = "Campaigns";
    told.list.replaceChildren(...numbers.slice(0, LISTED).map((number) => campaignLink(number, `${map.campaigns[number].events.toLocaleString("en")} events`)));
  }

  async function tellPoints(points, title) {
    const mine = ++state.asked;
    told.title.textContent = title;
    const counts = new Map();
    for (const at of points) counts.set(map.campaign[at], (counts.get(map.campaign[at]) ?? 0) + 1);
    const groups = [...counts].filter(([number]) => number >= 0).sort((one, other) => other[1] - one[1]).slice(0, 10);
    const items = groups.map(([number, count]) => campaignLink(number, `${count.toLocaleString("en")} of these points`));
    let found = [];
    try {
      found = await promptsOf(points);
    } catch (error) {
      items.push(made("li", { class: "problem", role: "alert" }, `Their texts cannot be had: ${error.message}`));
    }
    if (mine !== state.asked) return;
    for (const each of found) {
      const item = made("li", { class: "template" });
      if (each.campaign) item.append(made("a", { href: `/console/campaigns/${each.campaign}` }, each.campaign), " ");
      item.append(made("bdi", {}, each.text), " ");
      item.append(made("a", { href: `/console/search?${new URLSearchParams({ q: each.query })}` }, "more like this"));
      items.push(item);
    }
    told.list.replaceChildren(...items);
  }

  /** Points inside of a polygon, by how often a ray from each crosses it. */
  function inside(polygon) {
    const found = [];
    for (let at = 0; at < map.count; at++) {
      if (!isShown(map.campaign[at])) continue;
      const x = map.places[2 * at], y = map.places[2 * at + 1];
      let odd = false;
      for (let here = 0, before = polygon.length - 1; here < polygon.length; before = here++) {
        const [x1, y1] = polygon[here], [x2, y2] = polygon[before];
        if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) odd = !odd;
      }
      if (odd) found.push(at);
    }
    return found;
  }

  function nearest(px, py, within = NEAR_PX) {
    let best = -1, least = within ** 2;
    for (let at = 0; at < map.count; at++) {
      if (!isShown(map.campaign[at])) continue;
      const distance = (toX(map.places[2 * at]) - px) ** 2 + (toY(map.places[2 * at + 1]) - py) ** 2;
      if (distance < least) [best, least] = [at, distance];
    }
    return best;
  }

  function zoom(factor, px = canvas.width / 2, py = canvas.height / 2) {
    const x = fromX(px), y = fromY(py);
    view.scale = Math.min(4000, Math.max(0.5, view.scale * factor));
    view.x += x - fromX(px);
    view.y += y - fromY(py);
    soon();
  }

  function fit() {
    const box = canvas.parentElement.getBoundingClientRect();
    for (const each of [canvas, over]) [each.width, each.height] = [Math.max(200, Math.floor(box.width)), Math.max(200, Math.floor(box.height))];
    soon();
  }

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.offsetX, y: event.offsetY, moved: false };
    if (state.lassoOn) state.lasso = [[fromX(event.offsetX), fromY(event.offsetY)]];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
    drag.moved ||= Math.abs(dx) + Math.abs(dy) > 3;
    if (state.lassoOn) {
      state.lasso.push([fromX(event.offsetX), fromY(event.offsetY)]);
      drawOver();
    } else if (drag.moved) {
      view.x -= dx / sizeOf();
      view.y -= dy / sizeOf();
      [drag.x, drag.y] = [event.offsetX, event.offsetY];
      soon();
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    const was = drag;
    drag = null;
    if (state.lassoOn && was?.moved) {
      const points = inside(state.lasso);
      drawOver();
      tellPoints(points, `${points.length.toLocaleString("en")} points`);
    } else if (was && !was.moved) {
      state.lasso = null;
      const at = nearest(event.offsetX, event.offsetY);
      drawOver();
      if (at >= 0) tellPoints([at], "This point");
      else tellCampaigns();
    }
  });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = 60 / sizeOf();
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) {
      view.x += moves[event.key][0];
      view.y += moves[event.key][1];
      soon();
    } else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "Enter") {
      const at = nearest(canvas.width / 2, canvas.height / 2, Infinity);
      if (at >= 0) tellPoints([at], "The point nearest to the middle");
    }
    else return;
    event.preventDefault();
  });
  document.getElementById("nearer").addEventListener("click", () => zoom(1.6));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.6));
  document.getElementById("all").addEventListener("click", () => {
    Object.assign(view, { x: 0.5, y: 0.5, scale: 0.95 });
    state.lasso = null;
    tellCampaigns();
    soon();
  });
  const lasso = document.getElementById("lasso");
  lasso.addEventListener("click", () => {
    state.lassoOn = !state.lassoOn;
    lasso.setAttribute("aria-pressed", String(state.lassoOn));
  });
  document.getElementById("which").addEventListener("change", (event) => {
    state.which = event.target.value;
    soon();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    mix();
    soon();
  });
  new ResizeObserver(fit).observe(canvas.parentElement);
  view.scale = 0.95;
  mix();
  tellCampaigns();
  fit();
  canvas.dataset.count = String(map.count);
}

load().then(begin).catch((error) => document.querySelector(".mapped").prepend(made("p", { class: "problem", role: "alert" }, `The map cannot be shown: ${error.message}`)));
