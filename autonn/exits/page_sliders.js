// ---- sliders: one for each input, and of two of them a map of what is read where

current = Float64Array.from(facts.sliders, (s) => (s.least + s.most) / 2);
const COLOURS = ["#0a58ca", "#d9730d", "#2e7d32", "#8e24aa", "#c2185b", "#00838f", "#6d4c41",
  "#f9a825", "#455a64", "#7cb342"].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));

function moved() {
  facts.sliders.forEach((_, k) => { $(`value-${k}`).textContent = (+$(`slider-${k}`).value).toFixed(2); });
  current = Float64Array.from(facts.sliders, (_, k) => +$(`slider-${k}`).value);
  show();
}

function map() {  // the classes over the plane, darker where it is sure
  const canvas = $("boundary"), brush = canvas.getContext("2d"), n = 60;
  [canvas.width, canvas.height] = [n, n];
  const picture = brush.createImageData(n, n), [a, b] = facts.sliders;
  const plane = Array.from({ length: n * n }, (_, i) => read(Float64Array.of(
    a.least + (a.most - a.least) * (i % n + 0.5) / n,
    b.most - (b.most - b.least) * (Math.floor(i / n) + 0.5) / n)).at(-1).slice());
  const values = plane.map((out) => out[0]);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  plane.forEach((out, i) => {
    const parts = shares(out), [best] = ranked(parts);
    const one = parts.length < 2, t = one ? (out[0] - least) / (most - least || 1)
      : 0.25 + 0.75 * Math.min(Math.max((parts[best] - 1 / parts.length) / (1 - 1 / parts.length), 0), 1);
    COLOURS[best % COLOURS.length].forEach((c, j) => { picture.data[4 * i + j] = 255 - t * (255 - c); });
    picture.data[4 * i + 3] = 255;
  });
  brush.putImageData(picture, 0, 0);
  const x = (current[0] - a.least) / (a.most - a.least) * n, y = (b.most - current[1]) / (b.most - b.least) * n;
  [brush.fillStyle, brush.strokeStyle] = ["#fff", "#000"];
  brush.beginPath();
  brush.arc(x, y, 1.6, 0, 7);
  brush.fill();
  brush.stroke();
}

facts.sliders.forEach((slider, k) => {
  const label = document.createElement("label"), input = document.createElement("input");
  const value = document.createElement("output");
  [label.textContent, label.htmlFor, input.id, value.id] = [`${slider.name} = `, `slider-${k}`, `slider-${k}`, `value-${k}`];
  Object.assign(input, { type: "range", min: slider.least, max: slider.most, step: "any" });
  input.value = current[k];
  input.oninput = moved;
  label.append(value);
  $("sliders").append(label, input);
});
$("boundary").hidden = facts.sliders.length !== 2;
$("boundary").onpointerdown = (event) => {
  const box = $("boundary").getBoundingClientRect(), [a, b] = facts.sliders;
  $("slider-0").value = a.least + (a.most - a.least) * (event.clientX - box.left) / box.width;
  $("slider-1").value = b.most - (b.most - b.least) * (event.clientY - box.top) / box.height;
  moved();
};
moved();
