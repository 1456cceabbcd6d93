/* The viewer: two pictures with a divider, side by side, or one at a time. */

const settings = JSON.parse(document.getElementById("settings").textContent);
const { width: WIDTH, height: HEIGHT } = settings;
const pictures = settings.pictures.map((each, k) => new Picture(k, each, WIDTH, HEIGHT));
const byId = (name) => document.getElementById(name);
const stage = byId("stage");
const canvas = byId("canvas");
const context = canvas.getContext("2d");

const LARGEST = 64; // screen pixels for a pixel of the picture
const ZOOM = 1.25; // of one step
const GRIP = 24; // screen pixels from the divider where it can be dragged
const ENLARGED = 8; // most that small pictures are enlarged to fill the viewer

const state = {
  chosen: [settings.left, settings.right],
  frame: settings.frame,
  mode: "slider",
  split: 0.5,
  scale: 1,
  x: WIDTH / 2,
  y: HEIGHT / 2,
  isFitted: true,
  tone: { ...settings.window, curve: "linear" },
  gain: 1,
};
let sources = [];
let turns = 0;
let isWaiting = false;

/* Pictures */

function toneOf(picture) {
  if (!picture.isRemoved) return state.tone;
  const { low, high } = settings.removed;
  return { low: low / state.gain, high: high / state.gain, curve: "linear" };
}

/* Decode and draw what is chosen; a later call replaces an earlier one. */
async function refresh() {
  const turn = ++turns;
  const chosen = state.chosen.map((index) => pictures[index]);
  let shown;
  try {
    shown = await Promise.all(chosen.map((each) => each.shown(state.frame, toneOf(each))));
  } catch (error) {
    byId("pixel").textContent = `This browser cannot show the pictures: ${error.message}`;
    return;
  }
  if (turn !== turns) return;
  sources = shown;
  byId("label-left").textContent = chosen[0].name;
  byId("label-right").textContent = chosen[1].name;
  schedule();
  stage.dataset.ready = String(turn);
}

/* Geometry, in screen pixels of the style sheet */

function paneWidth() {
  return state.mode === "side" ? stage.clientWidth / 2 : stage.clientWidth;
}

function fittedScale() {
  const scale = Math.min(paneWidth() / WIDTH, stage.clientHeight / HEIGHT);
  return Math.min(scale, ENLARGED);
}

function limited(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function fit() {
  state.isFitted = true;
  Object.assign(state, { scale: fittedScale(), x: WIDTH / 2, y: HEIGHT / 2 });
  schedule();
}

/* Change the scale; the picture stays where it is at a point relative to the center of the pane. */
function zoomTo(scale, dx = 0, dy = 0) {
  const next = limited(scale, Math.min(fittedScale(), 1), LARGEST);
  state.x += dx / state.scale - dx / next;
  state.y += dy / state.scale - dy / next;
  state.scale = next;
  state.isFitted = false;
  pan(0, 0);
}

function pan(dx, dy) {
  state.x = limited(state.x - dx / state.scale, 0, WIDTH);
  state.y = limited(state.y - dy / state.scale, 0, HEIGHT);
  if (dx || dy) state.isFitted = false;
  schedule();
}

/* A point of the stage relative to the center of the pane that it is in. */
function fromCenter(event) {
  const box = stage.getBoundingClientRect();
  const wide = paneWidth();
  const x = event.clientX - box.left - stage.clientLeft;
  return [(x % wide) - wide / 2, event.clientY - box.top - stage.clientTop - stage.clientHeight / 2];
}

function setSplit(split) {
  state.split = limited(split, 0, 1);
  byId("split").value = String(Math.round(100 * state.split));
  schedule();
}

/* Drawing */

function schedule() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    draw();
  });
}

/* The parts of the stage: left and right end, center, and the index of the picture. */
function panes() {
  const wide = stage.clientWidth;
  if (state.mode === "one") return [[0, wide, wide / 2, 0]];
  if (state.mode === "side") {
    return [
      [0, wide / 2 - 1, wide / 4, 0],
      [wide / 2 + 1, wide, (3 * wide) / 4, 1],
    ];
  }
  const split = state.split * wide;
  return [
    [0, split, wide / 2, 0],
    [split, wide, wide / 2, 1],
  ];
}

function draw() {
  if (sources.length < 2) return;
  const ratio = window.devicePixelRatio || 1;
  const high = stage.clientHeight;
  canvas.width = Math.round(stage.clientWidth * ratio);
  canvas.height = Math.round(high * ratio);
  for (const [left, right, center, index] of panes()) {
    context.save();
    context.scale(ratio, ratio);
    context.beginPath();
    context.rect(left, 0, right - left, high);
    context.clip();
    context.translate(center - state.x * state.scale, high / 2 - state.y * state.scale);
    context.scale(state.scale, state.scale);
    context.imageSmoothingEnabled = state.scale * ratio < 2;
    context.drawImage(sources[index], 0, 0, WIDTH, HEIGHT);
    context.restore();
  }
  if (state.mode === "slider") drawLine(ratio);
  describe();
}

/* The divider, in print as well. */
function drawLine(ratio) {
  const x = Math.round(state.split * canvas.width);
  for (const [color, wide] of [["#000", 4], ["#fff", 2]]) {
    context.fillStyle = color;
    context.fillRect(x - (wide / 2) * ratio, 0, wide * ratio, canvas.height);
  }
}

function describe() {
  byId("divider").hidden = state.mode !== "slider";
  byId("split").disabled = state.mode !== "slider";
  byId("label-right").hidden = state.mode === "one";
  byId("divider").style.left = `${100 * state.split}%`;
  const percent = `${Math.round(100 * state.scale)} %`;
  if (byId("zoom").textContent !== percent) byId("zoom").textContent = percent;
  const [left, right] = state.chosen.map((index) => pictures[index].name);
  const frame = settings.frames.length > 1 ? `, ${settings.frames[state.frame]}` : "";
  const texts = {
    slider: `${left} on the left of the divider, ${right} on the right${frame}`,
    side: `${left} and ${right} side by side${frame}`,
    one: `${left}${frame}`,
  };
  canvas.setAttribute("aria-label", texts[state.mode]);
}

/* Mouse, touch and pen */

const pointers = new Map();
let isDividing = false;

function isNearDivider(event) {
  const box = stage.getBoundingClientRect();
  return state.mode === "slider" && Math.abs(event.clientX - box.left - state.split * box.width) < GRIP;
}

function divideAt(event) {
  const box = stage.getBoundingClientRect();
  setSplit((event.clientX - box.left) / box.width);
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pointers.set(event.pointerId, event);
  stage.setPointerCapture(event.pointerId);
  isDividing = pointers.size === 1 && isNearDivider(event);
});

stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) {
    stage.classList.toggle("on-divider", isNearDivider(event));
    readOut(event);
    return;
  }
  if (isDividing) divideAt(event);
  else if (pointers.size === 1) pan(event.clientX - before.clientX, event.clientY - before.clientY);
  else pinch(event, before);
  pointers.set(event.pointerId, event);
});

for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
}

/* Two fingers: their distance changes the scale, their center moves the picture. */
function pinch(event, before) {
  const other = [...pointers.values()].find((each) => each.pointerId !== event.pointerId);
  const distance = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
  const [dx, dy] = fromCenter(event);
  pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
  zoomTo((state.scale * distance(event)) / Math.max(1, distance(before)), dx, dy);
}

stage.addEventListener(
  "wheel",
  (event) => {
    if (!event.ctrlKey && document.activeElement !== stage) return; // the page scrolls
    event.preventDefault();
    zoomTo(state.scale * Math.exp(-0.002 * event.deltaY), ...fromCenter(event));
  },
  { passive: false },
);

stage.addEventListener("dblclick", (event) => {
  if (isNearDivider(event)) setSplit(0.5);
  else if (state.isFitted) zoomTo(Math.max(1, 2 * state.scale), ...fromCenter(event));
  else fit();
});

/* Show position and values of the pixel under the pointer. */
let isReading = false;
async function readOut(event) {
  if (isReading || sources.length < 2) return;
  const [dx, dy] = fromCenter(event);
  const [x, y] = [Math.floor(state.x + dx / state.scale), Math.floor(state.y + dy / state.scale)];
  if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT) return;
  isReading = true;
  const chosen = state.chosen.map((index) => pictures[index]);
  const values = await Promise.all(chosen.map((each) => each.valueAt(state.frame, x, y)));
  const at = `row ${y * settings.shrink}, column ${x * settings.shrink}`;
  byId("pixel").textContent = `${at}: ${values.join(" | ")}`;
  isReading = false;
}

/* Keyboard */

const STEP = 40; // screen pixels
const KEYS = {
  ArrowLeft: (isShifted) => (isShifted ? pan(STEP, 0) : setSplit(state.split - 0.02)),
  ArrowRight: (isShifted) => (isShifted ? pan(-STEP, 0) : setSplit(state.split + 0.02)),
  ArrowUp: (isShifted) => isShifted && pan(0, STEP),
  ArrowDown: (isShifted) => isShifted && pan(0, -STEP),
  Home: () => setSplit(0),
  End: () => setSplit(1),
  "+": () => zoomTo(state.scale * ZOOM),
  "=": () => zoomTo(state.scale * ZOOM),
  "-": () => zoomTo(state.scale / ZOOM),
  0: fit,
  1: () => zoomTo(1),
  x: swap,
  PageUp: () => setFrame(state.frame - 1),
  PageDown: () => setFrame(state.frame + 1),
};

stage.addEventListener("keydown", (event) => {
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  if (action(event.shiftKey) !== false) event.preventDefault();
});

/* Controls */

function choose(side, index) {
  state.chosen[side] = index;
  byId(side === 0 ? "left" : "right").value = String(index);
  refresh();
}

function swap() {
  const [left, right] = state.chosen;
  choose(0, right);
  choose(1, left);
}

function setFrame(frame) {
  state.frame = limited(frame, 0, settings.frames.length - 1);
  byId("frame").value = String(state.frame);
  byId("frame").setAttribute("aria-valuetext", settings.frames[state.frame]);
  byId("frame-name").textContent = settings.frames[state.frame];
  refresh();
}

function setTone(low, high) {
  Object.assign(state.tone, { low: Math.min(low, high - settings.step), high });
  for (const name of ["low", "high"]) {
    byId(name).value = String(state.tone[name]);
    byId(`${name}-value`).textContent = String(Number(state.tone[name].toPrecision(4)));
  }
  refresh();
}

function listen(name, kind, action) {
  byId(name)?.addEventListener(kind, action);
}

listen("left", "change", (event) => choose(0, Number(event.target.value)));
listen("right", "change", (event) => choose(1, Number(event.target.value)));
listen("swap", "click", swap);
listen("split", "input", (event) => setSplit(event.target.value / 100));
listen("zoom-in", "click", () => zoomTo(state.scale * ZOOM));
listen("zoom-out", "click", () => zoomTo(state.scale / ZOOM));
listen("zoom-fit", "click", fit);
listen("zoom-one", "click", () => zoomTo(1));
listen("frame", "input", (event) => setFrame(Number(event.target.value)));
listen("low", "input", (event) => setTone(Number(event.target.value), state.tone.high));
listen("high", "input", (event) => setTone(state.tone.low, Number(event.target.value)));
listen("window-first", "click", () => setTone(settings.window.low, settings.window.high));
listen("window-full", "click", () => setTone(settings.full.low, settings.full.high));
listen("curve", "change", (event) => {
  state.tone.curve = event.target.value;
  refresh();
});
listen("gain", "change", (event) => {
  state.gain = Number(event.target.value);
  refresh();
});
listen("theme", "change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
});
for (const each of document.querySelectorAll("input[name=mode]")) {
  each.addEventListener("change", () => {
    state.mode = each.value;
    if (state.isFitted) fit();
    schedule();
  });
}
for (const each of document.querySelectorAll("button[data-row]")) {
  each.addEventListener("click", () => {
    const { row, column, side } = each.dataset;
    const [y, x, size] = [row, column, side].map((text) => Number(text) / settings.shrink);
    state.isFitted = false;
    Object.assign(state, { x: x + size / 2, y: y + size / 2 });
    zoomTo(Math.min(paneWidth(), stage.clientHeight) / (1.5 * size));
    stage.focus();
    stage.scrollIntoView({ block: "nearest" });
  });
}

new ResizeObserver(() => (state.isFitted ? fit() : schedule())).observe(stage);
document.documentElement.classList.add("scripted");
fit();
refresh();
