// Live charts of what the API keeps histories of.
//
// Each chart is a picture with a legend that says the newest value of each line, so that nobody needs to see
// the picture.

import { signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { bytes, hourAndMinute, NOTHING, timeOfDay } from "../format";
import { isSystemDark, recall, store, theme } from "../settings";

/** The companion `x_details` of a number `x`. */
export interface Details {
  rate?: number;
  avg?: number;
  avg_rate?: number;
  /** The newest first. */
  samples?: { sample: number; timestamp: number }[];
}

export interface Line {
  label: string;
  details: Details | undefined;
  /** The samples are of a counter: its change per second is drawn. */
  isCounter?: boolean;
  /** The newest value, if the broker says it better than the last sample. */
  now?: number | undefined;
}

interface Range {
  label: string;
  ageS: number;
  incrS: number;
}

const RANGES: Range[] = [
  { label: "1 min", ageS: 60, incrS: 5 },
  { label: "10 min", ageS: 600, incrS: 5 },
  { label: "1 h", ageS: 3600, incrS: 60 },
  { label: "8 h", ageS: 28800, incrS: 600 },
  { label: "24 h", ageS: 86400, incrS: 1800 },
];

/** For how long the broker keeps the history of a single queue, connection or exchange. */
const OF_ONE_THING_S = 600;

const chosen = signal(Number(recall("range", "600")));

/** The parameters that ask the API for histories: `kinds` are `lengths`, `msg_rates`, `data_rates` and `node_stats`. */
export function useHistory(kinds: string[], isOfOneThing = true): Record<string, number> {
  const ranges = rangesFor(isOfOneThing);
  const range = ranges.find((range) => range.ageS === chosen.value) ?? ranges[ranges.length - 1];
  const parameters: Record<string, number> = {};
  for (const kind of kinds) {
    parameters[`${kind}_age`] = range?.ageS ?? 0;
    parameters[`${kind}_incr`] = range?.incrS ?? 0;
  }
  return parameters;
}

function rangesFor(isOfOneThing: boolean): Range[] {
  return isOfOneThing ? RANGES.filter((range) => range.ageS <= OF_ONE_THING_S) : RANGES;
}

export function RangePicker({ isOfOneThing = true }: { isOfOneThing?: boolean }) {
  const ranges = rangesFor(isOfOneThing);
  const now = ranges.find((range) => range.ageS === chosen.value) ?? ranges[ranges.length - 1];
  return (
    <label class="range">Last{" "}
      <select
        value={now?.ageS}
        onChange={(event) => {
          chosen.value = Number(event.currentTarget.value);
          store("range", event.currentTarget.value);
        }}
      >
        {ranges.map((range) => <option key={range.ageS} value={range.ageS}>{range.label}</option>)}
      </select>
    </label>
  );
}

interface ChartProps {
  title: string;
  lines: Line[];
  /** Writes a value with its unit. */
  format: (value: number) => string;
}

export function Chart({ title, lines, format }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useMemo(() => align(lines), [lines]);
  const labels = lines.map((line) => line.label).join("\n");
  const latest = useRef({ data, format });
  latest.current = { data, format };

  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const made = new uPlot(options(element, lines, (value) => latest.current.format(value)), latest.current.data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [labels, theme.value, isSystemDark.value]);
  useEffect(() => plot.current?.setData(data), [data]);

  const hasPoints = data[0].length > 1;
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={frame} class="plot" role="img" aria-label={`${title}: a line chart; its newest values are in the list that follows`} hidden={!hasPoints} />
      {!hasPoints && <p class="hint">A line appears once there are two samples; one is taken every five seconds.</p>}
      <ul class="legend" aria-label={`${title}, newest values`}>
        {lines.map((line, n) => (
          <li key={line.label}>
            <span><span class={`swatch line-${n}`} aria-hidden="true" />{line.label}</span>
            <b>{newest(line, data[n + 1], format)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function newest(line: Line, values: (number | null | undefined)[] | undefined, format: (value: number) => string): string {
  const rate = line.isCounter ? line.details?.rate : undefined;
  const value = line.now ?? rate ?? values?.filter((value) => value !== null && value !== undefined).pop();
  return value === undefined || value === null ? NOTHING : format(value);
}

type Data = [number[], ...(number | null)[][]];

/** All lines over one axis of time, in seconds. */
function align(lines: Line[]): Data {
  const points = lines.map((line) => series(line));
  const times = [...new Set(points.flatMap((each) => [...each.keys()]))].sort((a, b) => a - b);
  return [times.map((time) => time / 1000), ...points.map((each) => times.map((time) => each.get(time) ?? null))];
}

function series({ details, isCounter }: Line): Map<number, number> {
  const samples = [...(details?.samples ?? [])].reverse();
  if (!isCounter) return new Map(samples.map(({ sample, timestamp }) => [timestamp, sample]));
  const rates = new Map<number, number>();
  for (let n = 1; n < samples.length; n += 1) {
    const [before, after] = [samples[n - 1], samples[n]];
    if (!before || !after || after.timestamp <= before.timestamp) continue;
    const change = (after.sample - before.sample) / ((after.timestamp - before.timestamp) / 1000);
    rates.set(after.timestamp, Math.max(0, change));
  }
  return rates;
}

const HEIGHT = 180;
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, n) => 2 ** n);

function options(element: HTMLElement, lines: Line[], format: (value: number) => string): uPlot.Options {
  const style = getComputedStyle(element);
  const swatches = [...(element.parentElement?.querySelectorAll(".swatch") ?? [])];
  const colors = swatches.map((swatch) => getComputedStyle(swatch).backgroundColor);
  const isInBytes = format(2048) === bytes(2048);
  const axis = { stroke: style.color, grid: { stroke: style.borderTopColor, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  return {
    width: element.clientWidth || 400,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { range: (_, from, to) => [Math.min(from, to - chosen.value), to] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
    },
    axes: [
      { ...axis, size: 28, space: 80, values: (_, values, __, ___, stepS) => values.map((value) => (stepS < 60 ? timeOfDay : hourAndMinute)(value * 1000)) },
      { ...axis, size: 74, space: 34, ...(isInBytes ? { incrs: POWERS_OF_TWO } : {}), values: (_, values) => values.map(format).map((text, n, all) => (text === all[n - 1] ? "" : text)) },
    ],
    series: [
      {},
      ...lines.map((line, n) => ({ label: line.label, stroke: colors[n] ?? style.color, width: 2, spanGaps: true, points: { show: false } })),
    ],
  };
}
