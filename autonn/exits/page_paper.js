// ---- the paper: pen, touch and mouse

const paper = $("paper"), brush = paper.getContext("2d", { willReadFrequently: true });
const strokes = [];
let drawing = null;  // the id of the pointer that draws

function spot(event) {
  const box = paper.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * paper.width,
    (event.clientY - box.top) / box.height * paper.height];
}

function redraw() {
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, paper.width, paper.height);
  [brush.lineWidth, brush.lineCap, brush.lineJoin] = [paper.width / 13, "round", "round"];
  for (const stroke of strokes) {
    brush.beginPath();
    stroke.forEach(([x, y], i) => (i ? brush.lineTo(x, y) : brush.moveTo(x, y)));
    if (stroke.length === 1) brush.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
    brush.stroke();
  }
}

function ink() {  // how dark each pixel of the paper is, from 0 to 1
  const { data } = brush.getImageData(0, 0, paper.width, paper.height);
  return Float64Array.from({ length: data.length / 4 }, (_, i) => 1 - data[4 * i] / 255);
}

function look(quiet) {
  redraw();
  const picture = strokes.length ? see(ink(), paper.width) : null;
  current = picture && unrolled(picture);
  show(quiet);
}

function ended(event) {
  if (event.pointerId !== drawing) return;
  drawing = null;
  look();
}

paper.onpointerdown = (event) => {
  if (!event.isPrimary || event.button > 0) return;
  event.preventDefault();
  drawing = event.pointerId;
  paper.setPointerCapture(drawing);
  strokes.push([spot(event)]);
  redraw();
};
paper.onpointermove = (event) => {
  if (event.pointerId !== drawing) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  strokes.at(-1).push(...(events.length ? events : [event]).map(spot));
  look(true);
};
paper.onpointerup = paper.onpointercancel = paper.onlostpointercapture = ended;
$("undo").onclick = () => { strokes.pop(); look(); };
$("clear").onclick = () => { strokes.length = 0; look(); };
samples.forEach(({ label, x }) => {
  const button = document.createElement("button");
  button.textContent = facts.classes[label];
  button.setAttribute("aria-label", `Load the sample ${facts.classes[label]}`);
  button.onclick = () => {
    strokes.length = 0;
    redraw();
    current = x;
    show();
    brush.drawImage($("seen"), 0, 0, paper.width, paper.height);
  };
  $("samples").append(button);
});
$("sample-row").hidden = !samples.length;
redraw();
show();
