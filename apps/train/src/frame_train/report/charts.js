// Draws the charts of the page with uPlot: drag to zoom, double-click to reset, hover to read values.
"use strict";

const charts = JSON.parse(document.getElementById("charts").textContent);
const plots = charts.map((chart, index) => ({ chart, place: document.getElementById(`chart-${index}`), isLog: false }));

function getColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function format(value) {
  return value == null ? "–" : String(Number(value.toPrecision(5)));
}

function describeCurve(curve, index) {
  const color = getColor(`--c${index % 6}`);
  return { label: curve.name, stroke: color, width: 1.75, dash: index < 6 ? undefined : [6, 4],
           value: (plot, value) => format(value) };
}

function formatTick(value) {
  if (value == null) return "";
  const notation = Math.abs(value) >= 1e5 ? "compact" : "standard";
  return value.toLocaleString("en", { notation, maximumSignificantDigits: 6 });
}

function describeAxis(label) {
  const line = getColor("--line");
  return { label, stroke: getColor("--muted"), grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 },
           values: (plot, values) => values.map(formatTick), labelSize: 20, size: label ? 32 : 64, font: "11px system-ui", labelFont: "11px system-ui" };
}

function chooseRange(chart, isLog, low, high, lowest, highest) {
  if (low == null) return [0, 1];
  if (isLog) return uPlot.rangeLog(low, high, 10, true);
  const isZoomed = low > lowest || high < highest;
  return isZoomed ? uPlot.rangeNum(low, high, 0.05, false) : chart.range;
}

// The two ends of the band around a curve are series without a line, behind all curves.
function listEnds(chart) {
  const banded = chart.curves.flatMap((curve, index) => (curve.low ? [{ curve, index }] : []));
  return banded.map(({ curve, index }, position) => ({ curve, index, first: chart.curves.length + 1 + 2 * position }));
}

function draw(item) {
  const { chart, place, isLog } = item;
  const ends = listEnds(chart);
  const tables = ends.flatMap(({ curve }) => [[curve.steps, curve.low], [curve.steps, curve.high]]);
  const data = uPlot.join([...chart.curves.map(curve => [curve.steps, curve.values]), ...tables]);
  const values = chart.curves.flatMap(curve => curve.values).filter(value => value != null);
  const lowest = values.reduce((least, value) => Math.min(least, value), Infinity);
  const highest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const options = {
    width: place.clientWidth,
    height: 260,
    cursor: { sync: { key: "step" } },
    scales: {
      x: { time: false },
      y: { distr: isLog ? 3 : 1, range: (plot, low, high) => chooseRange(chart, isLog, low, high, lowest, highest) },
    },
    axes: [describeAxis("global step"), describeAxis(null)],
    series: [{ label: "step", value: (plot, value) => value ?? "–" }, ...chart.curves.map(describeCurve),
             ...tables.map(() => ({ class: "end", points: { show: false } }))],
    bands: ends.map(({ index, first }) => ({ series: [first + 1, first], fill: getColor(`--c${index % 6}`) + "33" })),
    hooks: { setSeries: [(plot, index, options) => {
      const end = ends.find(end => end.index === index - 1);
      if (end && options.show != null) [end.first, end.first + 1].forEach(i => plot.setSeries(i, { show: options.show }));
    }] },
  };
  item.plot?.destroy();
  item.plot = new uPlot(options, data, place);
}

for (const item of plots) {
  draw(item);
  const button = item.place.parentElement.querySelector("button");
  button?.addEventListener("click", () => {
    item.isLog = !item.isLog;
    button.setAttribute("aria-pressed", item.isLog);
    draw(item);
  });
  new ResizeObserver(() => item.plot.setSize({ width: item.place.clientWidth, height: 260 })).observe(item.place);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(draw));
