// Formats of numbers and times. Unknown values are a dash.

export const UNKNOWN = "–";
const UNITS = ["B", "kB", "MB", "GB", "TB"];
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const MOMENT = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

const known = (value) => value !== null && value !== undefined;

/** Bytes in decimal units, as in Docker's and watchd's commands: "1.24 GB". */
export function bytes(size) {
  if (!known(size)) return UNKNOWN;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return `${Number(size.toFixed(digits))} ${UNITS[unit]}`;
}

/** Sum of what has `bytes`, null if unknown, and `at_least`. */
export const total = (parts) => ({
  bytes: parts.reduce((sum, part) => sum + (part.bytes ?? 0), 0),
  at_least: parts.some((part) => part.at_least),
});

/** Bytes of which a part may be unknown: "1.24 GB", "at least 1.24 GB", "unknown". */
export function amount({ bytes: size, at_least: more }) {
  if (!more) return bytes(size);
  return size ? `at least ${bytes(size)}` : "unknown";
}

/** The same within a sentence: "about 1.24 GB", "at least 1.24 GB", "of unknown size". */
export function about(size) {
  if (!size.at_least) return `about ${bytes(size.bytes)}`;
  return size.bytes ? amount(size) : "of unknown size";
}

/** Bytes per second. */
export const rate = (size) => (known(size) ? `${bytes(size)}/s` : UNKNOWN);

/** Cores of CPU: "0.21". */
export const cores = (used) => (known(used) ? used.toFixed(used < 10 ? 2 : 1) : UNKNOWN);

/** A share from 0 to 1: "35 %". */
export const percent = (share) =>
  known(share) ? `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %` : UNKNOWN;

/** A whole number. */
export const count = (number) => (known(number) ? String(number) : UNKNOWN);

/** Seconds in their two largest units, as watchd writes them: "3h 12m". */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ]) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole || (unit === "s" && !parts.length)) parts.push(`${whole}${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** Duration since a time (seconds since the epoch). */
export const ago = (time, now = Date.now() / 1000) => (known(time) ? duration(now - time) : UNKNOWN);

const shown = (format) => (time) => (known(time) ? format.format(time * 1000) : UNKNOWN);
export const clock = shown(CLOCK); // "14:03:07"
export const minute = shown(MINUTE); // "14:03"
export const day = shown(DAY); // "3 Nov"
export const moment = shown(MOMENT); // "3 Nov 2026, 14:03"

/** A time to the second, with its day unless that is today: "14:03:07", "3 Nov, 14:03:07". */
export const lately = (time) => (day(time) === day(Date.now() / 1000) ? clock(time) : `${day(time)}, ${clock(time)}`);

/** Seconds since the epoch of an RFC 3339 time. */
export const seconds = (text) => Date.parse(text) / 1000;

/** The first digits of an ID, as Docker's commands show it. */
export const short = (id) => id.replace(/^sha256:/, "").slice(0, 12);

/** "1 container", "3 build cache records". */
export function plural(kind, number) {
  const name = kind === "build_cache" ? "build cache record" : kind;
  return `${number} ${number === 1 ? name : name.replace(/y$/, "ie") + "s"}`;
}
