// The charts.  They hold what was sent of the last hour, and nothing else.
"use strict";

const KEPT_SECONDS = 3600;
const HEIGHT = 150;

const seconds = (value) =>
  value == null ? "–"
  : value === 0 ? "0"
  : value < 0.001 ? `${(value * 1e6).toFixed(0)} µs`
  : value < 1 ? `${Number((value * 1e3).toPrecision(3))} ms`
  : `${Number(value.toPrecision(3))} s`;

const rate = (value) => (value == null ? "–" : Number(value.toPrecision(3)).toLocaleString("en"));

const percentiles = (name) => ["50", "95", "99"].map((percent, index) => ({
  field: name + percent, label: `p${percent}`, colour: ["--calm", "--line", "--strong"][index],
}));

const CHARTS = {
  requests: {
    show: rate,
    lines: [
      { field: "ok", label: "ok", colour: "--line" },
      { field: "refused", label: "client's doing", colour: "--warning" },
      { field: "failed", label: "failed", colour: "--bad", fill: true },
    ],
  },
  latency: { show: seconds, lines: percentiles("latency") },
  first: { show: seconds, lines: percentiles("first") },
  tokens: {
    show: rate,
    lines: [
      { field: "input", label: "input", colour: "--calm" },
      { field: "output", label: "output", colour: "--line" },
    ],
  },
};

let points = [];
let span = 300;
let drawn = [];

const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const columns = (chart) => [
  points.map((point) => point.time),
  ...chart.lines.map((line) => points.map((point) => point[line.field] ?? null)),
];

function newest() {
  const last = points.length ? points[points.length - 1].time : Date.now() / 1000;
  return [last - span, last];
}

// No line leads to a value without neighbours: it is shown as a dot.
function alone(plot, index) {
  const [from] = newest();
  const [times, values] = [plot.data[0], plot.data[index]];
  return values.flatMap((value, at) =>
    value != null && times[at] >= from && values[at - 1] == null && values[at + 1] == null ? [at] : []);
}

function draw() {
  for (const each of drawn) each.plot.destroy();
  const faint = colourOf("--faint");
  drawn = Object.entries(CHARTS).map(([name, chart]) => {
    const place = document.getElementById(`chart-${name}`);
    const axis = { stroke: colourOf("--note"), grid: { stroke: faint, width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: place.clientWidth,
      height: HEIGHT,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1e3), "Etc/UTC"),
      cursor: { sync: { key: "page" }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { live: true },
      scales: { x: { range: newest }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [
        { ...axis, size: 30, space: 50, incrs: [60, 120, 300, 600, 900, 1800], values: [
          [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
        ] },
        { ...axis, size: 64, space: 26, values: (_, ticks) => ticks.map(chart.show) },
      ],
      series: [
        { value: (_, time) => (time == null ? "–" : new Date(time * 1e3).toISOString().slice(11, 19)), label: "UTC" },
        ...chart.lines.map((line) => ({
          label: line.label,
          stroke: colourOf(line.colour),
          fill: line.fill ? colourOf("--bad-faint") : undefined,
          width: 1.5,
          points: { show: false, filter: alone, size: 5, fill: colourOf(line.colour) },
          value: (_, value) => chart.show(value),
        })),
      ],
    }, columns(chart), place);
    return { plot, chart, place };
  });
  redraw();
}

function redraw() {
  for (const { plot, chart } of drawn) {
    plot.setData(columns(chart));
    if (plot.cursor.left < 0) plot.setLegend({ idx: points.length ? points.length - 1 : null });
  }
}

function resize() {
  for (const { plot, place } of drawn) {
    if (plot.width !== place.clientWidth) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  }
}

function begin(all) {
  points = all;
  redraw();
}

function keep(more) {
  const last = points.length ? points[points.length - 1].time : 0;
  points.push(...more.filter((point) => point.time > last));
  const oldest = points.length ? points[points.length - 1].time - KEPT_SECONDS : 0;
  points = points.filter((point) => point.time >= oldest);
  redraw();
}

function choose(button) {
  span = Number(button.dataset.span);
  for (const each of document.querySelectorAll("[data-span]")) {
    each.setAttribute("aria-pressed", String(each === button));
  }
  redraw();
}

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => choose(button));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(resize).observe(document.getElementById("charts"));
draw();
choose(document.querySelector("[data-span]"));
