// The pictures of `report.explore`: a strength, and before, after and removed. As a module it is
// rendered by anywidget, and by a few more lines in a page without a kernel.

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// JupyterLab leaves the arrow keys to elements with this attribute
const keys = { "data-lm-suppress-shortcuts": "true" };

function slider(label, most, value) {
  const input = element("input", { type: "range", min: 0, max: most, step: 1, value, ...keys });
  const output = element("output", {});
  const line = element("label", { class: "line" }, element("span", {}, label), input, output);
  return { input, output, line };
}

function render({ model, el }) {
  const strengths = model.get("strengths");
  const strength = slider("Strength", strengths.length - 1, model.get("index"));
  const divider = slider("Before, left of", 100, 50);
  const shown = element("select", keys);
  for (const name of ["after", "removed"]) {
    shown.append(element("option", { value: name }, name));
  }
  const pair = element("label", { class: "line" }, element("span", {}, "Show"), shown);
  const below = element("img", { class: "below" });
  const above = element("img", { class: "above", alt: "before" });
  const stage = element("div", { class: "stage" }, below, above);
  const text = element("p", { class: "noise" }, model.get("noise"));

  function draw() {
    const index = model.get("index");
    const removed = shown.value === "removed";
    below.src = "data:image/png;base64," + model.get(removed ? "removed" : "after")[index];
    below.alt = `${shown.value}, strength ${strengths[index]}`;
    strength.input.value = index;
    strength.input.setAttribute("aria-valuetext", strengths[index]);
    strength.output.textContent = strengths[index];
    const share = removed ? 0 : Number(divider.input.value);
    divider.line.hidden = removed;
    divider.input.setAttribute("aria-valuetext", `${share} %`);
    divider.output.textContent = `${share} %`;
    above.style.setProperty("clip-path", `inset(0 ${100 - share}% 0 0)`);
  }

  above.src = "data:image/png;base64," + model.get("before");
  const [wide, high] = model.get("size");
  for (const picture of [below, above]) {
    picture.width = wide;
    picture.height = high;
  }
  strength.input.addEventListener("input", () => {
    model.set("index", Number(strength.input.value));
    model.save_changes();
    draw();
  });
  divider.input.addEventListener("input", draw);
  shown.addEventListener("change", draw);
  model.on("change:index", draw);
  const root = element(
    "div", { class: "fastrestore-explore" }, strength.line, pair, divider.line, stage, text,
  );
  el.append(root);
  draw();
  return () => model.off("change:index", draw);
}

export default { render };
