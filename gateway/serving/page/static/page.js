// Follows what happens: replaces the parts that have changed, and draws the charts.  It holds no data of its own.
"use strict";

// -- the parts of the page -----------------------------------------------------------------------------

function replaceParts(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (!part) continue;
    const opened = new Set([...part.querySelectorAll("details[open]")].map((each) => each.dataset.key));
    part.innerHTML = html; // the server has escaped every text in it
    for (const each of part.querySelectorAll("details")) each.open = opened.has(each.dataset.key);
  }
}

// -- charts --------------------------------------------------------------------------------------------

const KEPT_SECONDS = 3600;
const HEIGHT = 150;

const seconds = (value) =>
  value == null ? "–"
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
        { ...axis, size: 30, space: 70, values: [
          [3600, "{HH}:{mm}", null, null, null, null, null, null, 1],
          [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
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
          points: { show: false },
          value: (_, value) => chart.show(value),
        })),
      ],
    }, columns(chart), place);
    return { plot, chart, place };
  });
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

function keep(more) {
  points.push(...more);
  const oldest = points.length ? points[points.length - 1].time - KEPT_SECONDS : 0;
  points = points.filter((point) => point.time >= oldest);
}

function choose(button) {
  span = Number(button.dataset.span);
  for (const each of document.querySelectorAll("[data-span]")) {
    each.setAttribute("aria-pressed", String(each === button));
  }
  redraw();
}

// -- following -----------------------------------------------------------------------------------------

const SILENCE = 15000; // milliseconds without news after which this page no longer counts as live
const AGAIN = 5000;

let silence = 0;

function isLive(live, why) {
  const badge = document.getElementById("live");
  badge.textContent = live ? "live" : "not live";
  badge.className = live ? "badge good" : "badge bad";
  badge.title = why;
  document.body.classList.toggle("stale", !live);
  clearTimeout(silence);
  if (live) silence = setTimeout(() => isLive(false, "Nothing has been heard of the gateway for a while."), SILENCE);
}

function follow() {
  const events = new EventSource("/events");
  const on = (name, act) => events.addEventListener(name, (event) => {
    act(JSON.parse(event.data));
    isLive(true, "This page follows what happens.");
  });
  on("sections", replaceParts);
  on("history", (all) => { points = []; keep(all); redraw(); });
  on("points", (more) => { keep(more); redraw(); });
  events.onerror = () => {
    isLive(false, "The gateway cannot be reached, or has too many who look on.");
    if (events.readyState === EventSource.CLOSED) setTimeout(comeBack, AGAIN);
  };
}

async function comeBack() {
  // Who is no longer signed in gets the form.
  const answer = await fetch("/", { headers: { Accept: "text/html" } }).catch(() => null);
  if (answer && answer.status === 401) location.reload();
  else follow();
}

// -- explain -------------------------------------------------------------------------------------------

function questionOf(form) {
  const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  const headers = {};
  for (const line of (given.headers ?? "").split("\n")) {
    const colon = line.indexOf(":");
    if (!line.trim()) continue;
    if (colon < 1) throw new Error(`A header is written as Name: value, not ${line}`);
    const name = line.slice(0, colon).trim().toLowerCase();
    headers[name] = [...(headers[name] ?? []), line.slice(colon + 1).trim()];
  }
  return { ...given, headers };
}

async function explain(event) {
  event.preventDefault();
  const shown = document.getElementById("explanation");
  try {
    const answer = await fetch("/explain", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/plain" },
      body: JSON.stringify(questionOf(event.target)),
    });
    shown.textContent = await answer.text();
  } catch (error) {
    shown.textContent = error.message;
  }
}

// -- begin ---------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => choose(button));
}
document.getElementById("explain-form").addEventListener("submit", explain);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(resize).observe(document.getElementById("charts"));
draw();
choose(document.querySelector("[data-span]"));
follow();
