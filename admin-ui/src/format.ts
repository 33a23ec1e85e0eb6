// Numbers, sizes and times as people read them, in the viewer's language and zone.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
const shortClock = new Intl.DateTimeFormat(undefined, { timeStyle: "short", hourCycle: "h23" });

export const NOTHING = "–";

export function number(value: number | undefined | null): string {
  return value === undefined || value === null ? NOTHING : whole.format(value);
}

/** Something per second. */
export function rate(value: number | undefined | null): string {
  if (value === undefined || value === null) return NOTHING;
  return `${value >= 100 || value === 0 ? whole.format(value) : short.format(value)}/s`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number | undefined | null): string {
  if (value === undefined || value === null) return NOTHING;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? whole.format(value) : short.format(value)} ${UNITS[unit]}`;
}

/** A moment, given in milliseconds since 1970 or as text that JavaScript reads. */
export function time(value: number | string | undefined | null): string {
  if (value === undefined || value === null || value === "") return NOTHING;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : when.format(date);
}

export function timeOfDay(value: number): string {
  return clock.format(new Date(value));
}

export function hourAndMinute(value: number): string {
  return shortClock.format(new Date(value));
}

/** A length of time, given in milliseconds: the two largest units. */
export function duration(value: number | undefined | null): string {
  if (value === undefined || value === null) return NOTHING;
  if (value < 1000) return `${whole.format(value)} ms`;
  const seconds = Math.floor(value / 1000);
  const units: [number, string][] = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = units.findIndex(([count]) => count > 0);
  const shown = units.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

export function yesNo(value: boolean | undefined): string {
  return value ? "yes" : "no";
}
