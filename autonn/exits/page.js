// ---- the network: its weights, and the three programs that were derived from it

const $ = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const numbers = (packed) => {  // three bytes a number, between the least and the largest
  if (typeof packed === "number") return packed;
  const { values, least, step } = packed, b = bytes(values);
  return Float64Array.from({ length: b.length / 3 }, (_, i) =>
    least + step * (b[3 * i] + 256 * b[3 * i + 1] + 65536 * b[3 * i + 2]));
};
const first = facts.weights.map(numbers);
const anew = () => first.map((w) => (typeof w === "number" ? w : w.slice()));
let weights = anew();
const samples = facts.samples.map(({ label, values }) => ({
  label, x: Float64Array.from(bytes(values), (v) => v / 255 * 1.3 - 0.15),
}));

function read(x) {  // the numbers of each layer
  return forward(...weights, x);
}

function shares(out) {  // what is shown of the outputs: as they are, or e^z / sum e^z
  if (facts.plain) return Array.from(out);
  if (facts.end === "as they are") return Array.from(out);
  if (facts.end === "logarithms") return Array.from(out, Math.exp);
  const top = Math.max(...out), e = Array.from(out, (z) => Math.exp(z - top));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / total);
}

function ranked(out) {  // the classes, the likeliest first
  return Array.from(out.keys()).sort((a, b) => out[b] - out[a]);
}

// ---- from a drawing to what the network was trained with, as autonn.data.digit_from_image

function keys(x) {  // R. Keys' cubic convolution kernel, a = -1/2
  x = Math.abs(x);
  return x <= 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
}

function resampling(old, count, from, to) {  // the weights of old pixels in each new one
  const scale = (to - from) / count, stretch = Math.max(scale, 1), reach = Math.ceil(2 * stretch);
  return Array.from({ length: count }, (_, i) => {
    const centre = from + scale * (i + 0.5) - 0.5, base = Math.floor(centre);
    const row = new Float64Array(old);
    for (let p = base - reach; p <= base + reach + 1; p++) {
      row[Math.min(Math.max(p, 0), old - 1)] += keys((p - centre) / stretch);
    }
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((w) => w / total);
  });
}

function resampled(image, width, down, across) {  // down image across'
  const height = image.length / width, half = [];
  for (const row of down) {
    const line = new Float64Array(width);
    for (let y = 0; y < height; y++) {
      if (row[y]) for (let x = 0; x < width; x++) line[x] += row[y] * image[y * width + x];
    }
    half.push(line);
  }
  return Float64Array.from(half.flatMap((line) => across.map((row) => {
    let s = 0;
    for (let x = 0; x < width; x++) s += row[x] * line[x];
    return s;
  })));
}

function fullInk(ink) {  // the level of full ink: soft edges are left out by Otsu's threshold
  const peak = ink.reduce((a, b) => Math.max(a, b), 0);
  const values = ink.filter((v) => v > 0.1 * peak).sort(), n = values.length;
  const total = values.reduce((a, b) => a + b, 0);
  let sum = 0, best = -1, at = 0;
  for (let k = 1; k < n; k++) {
    sum += values[k - 1];
    const apart = (total - sum) / (n - k) - sum / k, worth = k * (n - k) * apart * apart;
    if (worth > best) { best = worth; at = k; }
  }
  const least = values[at], upper = values.filter((v) => v >= least);
  const place = 0.75 * (upper.length - 1), low = Math.floor(place);
  const next = upper[Math.min(low + 1, upper.length - 1)];
  return upper[low] + (next - upper[low]) * (place - low);
}

function ofDigit(mask, width) {  // the largest piece of ink and what lies near; a stray dot does not
  const height = mask.length / width, left = mask.slice(), pieces = [];
  mask.forEach((_, i) => {
    const piece = left[i] ? [i] : [], edge = [];
    left[i] = 0;
    for (const p of piece) {  // which grows on the way
      const y = Math.floor(p / width), x = p % width;
      let bare = 0;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const q = v * width + u;
          bare += !mask[q];
          if (left[q]) piece.push(q);
          left[q] = 0;
        }
      }
      if (bare) edge.push([y, x]);
    }
    if (piece.length) pieces.push({ piece, edge });
  });
  pieces.sort((a, b) => b.piece.length - a.piece.length);
  const kept = pieces.splice(0, 1), long = (axis) => {
    const places = kept[0].edge.map((spot) => spot[axis]);
    return Math.max(...places) - Math.min(...places) + 1;
  };
  if (!kept.length) return mask;
  const far = 0.2 * Math.max(long(0), long(1)), least = 0.03 * kept[0].piece.length;
  const reach = (a, b) => a.edge.some(([y, x]) => b.edge.some(([v, u]) => Math.hypot(v - y, u - x) <= far));
  for (const a of kept) {  // which grows on the way, too
    for (const b of pieces.filter((b) => b.piece.length >= least && !kept.includes(b))) if (reach(a, b)) kept.push(b);
  }
  for (const { piece } of kept) for (const p of piece) left[p] = 1;
  return left;
}

function see(ink, width) {  // what the network sees of ink; null where there is none
  const height = ink.length / width, level = ink.some((v) => v > 0.05) ? fullInk(ink) : 0;
  const mask = ofDigit(ink.map((v) => (level && v > level / 2 ? 1 : 0)), width);
  let [top, bottom, left, right] = [Infinity, -1, Infinity, -1];
  mask.forEach((on, i) => {
    if (!on) return;
    const y = Math.floor(i / width), x = i % width;
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
  });
  if (bottom < 0) return null;
  const side = Math.max(bottom - top, right - left) + 1, reach = Math.ceil(side / 20);
  const wide = width + 2, edged = new Float64Array(wide * (height + 2));
  const down = new Float64Array(height), along = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!ink[y * width + x] || !near(mask, width, height, y, x, reach)) continue;
      const v = ink[y * width + x] / level;
      edged[(y + 1) * wide + x + 1] = v;
      down[y] += Math.min(v, 1);
      along[x] += Math.min(v, 1);
    }
  }
  const unit = side / 20;
  const window = (mass, count) => {
    const total = mass.reduce((a, b) => a + b, 0);
    const centre = mass.reduce((s, m, i) => s + m * i, 0) / total + 1.5;
    return resampling(count, 28, centre - 14.5 * unit, centre + 13.5 * unit);
  };
  const laid = resampled(edged, wide, window(down, height + 2), window(along, wide));
  const clipped = laid.map((v) => Math.min(Math.max(v, 0), 1));
  const most = clipped.reduce((a, b) => Math.max(a, b), 0), seen = clipped.map((v) => v / most);
  const [h, w] = facts.picture;
  if (h === 28 && w === 28) return seen;
  return resampled(seen, 28, resampling(28, h, 0, 28), resampling(28, w, 0, 28));
}

function near(mask, width, height, y, x, reach) {  // whether ink lies within reach
  for (let v = Math.max(0, y - reach); v <= Math.min(height - 1, y + reach); v++) {
    for (let u = Math.max(0, x - reach); u <= Math.min(width - 1, x + reach); u++) {
      if (mask[v * width + u]) return true;
    }
  }
  return false;
}

function unrolled(picture) {  // in the order of the network's inputs
  const [h, w] = facts.picture;
  if (!facts.columns) return picture;
  return picture.map((_, i) => picture[(i % h) * w + Math.floor(i / h)]);
}

function rolled(x) {  // back into rows, to be looked at
  const [h, w] = facts.picture;
  if (!facts.columns) return x;
  return x.map((_, i) => x[(i % w) * h + Math.floor(i / w)]);
}

// ---- what is shown

let current = null;  // what the network is fed
const cells = [];

function shade(v, most) {  // from white to blue, and to orange below 0
  const t = Math.min(Math.abs(v) / (most || 1), 1), [r, g, b] = v < 0 ? [200, 90, 0] : [10, 88, 202];
  const mix = (c) => Math.round(255 - t * (255 - c));
  return `rgb(${mix(r)} ${mix(g)} ${mix(b)})`;
}

function paint(canvas, values, colour) {
  const [h, w] = facts.picture, brush = canvas.getContext("2d");
  [canvas.width, canvas.height] = [w, h];
  values.forEach((v, i) => {
    brush.fillStyle = colour(v);
    brush.fillRect(i % w, Math.floor(i / w), 1, 1);
  });
}

function build() {
  facts.layers.forEach((layer, k) => {
    const title = document.createElement("h3"), list = document.createElement("ol");
    title.textContent = layer.name;
    const formula = document.createElement("code");
    formula.textContent = layer.formula;
    list.className = layer.units > 100 ? "units many" : "units";
    list.setAttribute("aria-label", `Numbers of layer ${k}, ${layer.name}`);
    const shown = Math.min(layer.units, 800);
    cells.push(Array.from({ length: shown }, () => list.appendChild(document.createElement("li"))));
    $("layers").append(title, formula, list);
  });
  facts.classes.forEach((name, k) => {
    const row = document.createElement("div"), label = document.createElement("label");
    const meter = document.createElement("meter"), value = document.createElement("output");
    row.className = "share";
    [label.textContent, label.htmlFor, meter.id] = [name, `share-${k}`, `share-${k}`];
    value.setAttribute("for", meter.id);
    row.append(label, meter, value);
    $("shares").append(row);
    for (const id of ["this", "that"]) $(id).append(new Option(name, k));
    const lesson = document.createElement("button");
    lesson.textContent = name;
    lesson.setAttribute("aria-label", `It should have been ${name}`);
    lesson.onclick = () => teach(k);
    $("lessons").append(lesson);
  });
  for (const id of ["forward", "why", "learn"]) {
    $(`text-${id}`).textContent = $(`program-${id}`).textContent.trim();
    $(`text-${id}`).parentElement.hidden = id === "learn" && !facts.teaches;
  }
  $("teaching").hidden = !facts.teaches;
  $("because").hidden = $("shares").parentElement.hidden = facts.plain;
}

function blank() {  // nothing is left of what was read before
  $("result").textContent = "Draw something.";
  for (const cell of cells.flat()) [cell.textContent, cell.style.background] = ["", ""];
  facts.classes.forEach((_, k) => {
    $(`share-${k}`).value = 0;
    $(`share-${k}`).nextSibling.textContent = "";
  });
  for (const id of ["seen", "parts"]) $(id).width = 0;
  $("because-text").textContent = "";
}

function show(quiet) {
  if (current === null) return blank();
  const layers = read(current), out = shares(layers[layers.length - 1]), order = ranked(out);
  layers.forEach((values, k) => {
    const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    cells[k].forEach((cell, i) => {
      if (values.length <= 100) cell.textContent = values[i].toFixed(2);  // of more, colours alone
      cell.style.background = shade(0.75 * values[i], most);  // pale enough for black numbers
    });
  });
  out.forEach((v, k) => {
    $(`share-${k}`).value = v;
    $(`share-${k}`).nextSibling.textContent = facts.plain ? v.toFixed(3) : `${(100 * v).toFixed(1)} %`;
  });
  if (!quiet) {
    const [best] = order, sure = `, ${(100 * out[best]).toFixed(0)} %`;
    $("result").textContent = facts.plain ? out[0].toFixed(3)
      : `${facts.classes[best]}${sure}`;
  }
  if (facts.picture) paint($("seen"), rolled(current), (v) => {
    const grey = Math.round(255 - 255 * Math.min(Math.max(v, 0), 1));
    return `rgb(${grey} ${grey} ${grey})`;
  });
  if (facts.classes.length > 1) {
    if (!quiet) [$("this").value, $("that").value] = order;
    explain();
  }
  if (facts.sliders && facts.sliders.length === 2) map();
}

function explain() {  // each input times the gradient of (this - that) for it
  if (current === null) return;
  const target = new Float64Array(facts.classes.length);
  target[$("this").value] += 1;
  target[$("that").value] -= 1;
  const [, gradient] = why(...weights, current, target);
  const parts = gradient.map((g, i) => g * current[i]);
  const most = parts.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const names = [facts.classes[$("this").value], facts.classes[$("that").value]];
  if (facts.picture) {
    paint($("parts"), rolled(parts), (v) => shade(v, most));
    $("because-text").textContent = `Blue speaks for ${names[0]}, orange for ${names[1]}: each pixel ` +
      "times the gradient that was derived for it.";
  } else {
    $("because-text").textContent = facts.sliders.map((s, i) =>
      `${s.name}: ${parts[i] < 0 ? `for ${names[1]}` : `for ${names[0]}`} (${parts[i].toFixed(3)})`).join("; ");
  }
}

// ---- learning: the derived step, again and again

const taught = [];
let lesson = 0;  // the number of the lesson that is under way; 0: none

function step(x, k) {  // one step of descent; returns the cost
  const [cost, after] = learn(...weights, x, Int32Array.of(k));  // arrays are changed in place
  weights = after;
  return cost;
}

function reads(x, k) {  // whether it reads x as k, and is rather sure
  const out = shares(read(x).at(-1)), order = ranked(out);
  return order[0] === k && out[k] > 0.8;
}

function round(x, k) {  // the lesson, what was taught before, and samples, so that none is forgotten
  const cost = step(x, k);
  for (const old of taught) if (old.x !== x) step(old.x, old.label);
  if (samples.length) {
    const old = samples[Math.floor(Math.random() * samples.length)];
    step(old.x, old.label);
  }
  return cost;
}

function knows() {
  return taught.every(({ x, label }) => reads(x, label));
}

function teach(k, done) {
  if (current === null) {
    $("lesson").textContent = "Draw something first, or load a sample.";
    return;
  }
  const x = current, own = ++lesson, costs = [];
  if (!taught.some((t) => t.x === x)) taught.push({ x, label: k });
  taught.find((t) => t.x === x).label = k;
  const frame = () => {
    if (own === lesson) costs.push(round(x, k));
    draw(costs);
    show(true);
    const enough = knows() || costs.length >= 400;
    $("lesson").setAttribute("aria-busy", String(!enough));  // the last words alone are read out
    $("lesson").textContent = `Step ${costs.length}: cost ${costs.at(-1).toFixed(3)}` +
      (enough ? `. It ${reads(x, k) ? "has learned" : "still doubts"} that this is ${facts.classes[k]}.` : "");
    if (own === lesson && !enough) return requestAnimationFrame(frame);
    show();
    if (done) done(costs);
  };
  requestAnimationFrame(frame);
}

function draw(costs) {
  const most = Math.max(...costs) || 1, n = Math.max(costs.length - 1, 1);
  const points = costs.map((c, i) => `${(100 * i / n).toFixed(1)},${(38 - 36 * c / most).toFixed(1)}`);
  $("curve").firstElementChild.setAttribute("points", points.join(" "));
}

$("stop").onclick = () => { lesson++; };
$("forget").onclick = () => {
  lesson++;
  taught.length = 0;
  weights = anew();
  draw([0]);
  $("lesson").textContent = "Forgotten: the weights are those of the beginning.";
  show();
};
for (const id of ["this", "that"]) $(id).onchange = explain;
build();
