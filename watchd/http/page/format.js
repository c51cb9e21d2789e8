// Formats of numbers and times, as Docker's and watchd's commands write them. Unknown values are a dash.

export const UNKNOWN = "–";
const DECIMAL = ["B", "kB", "MB", "GB", "TB"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"];
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

function scaled(size, units, step) {
  if (!known(size)) return UNKNOWN;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= step;
    unit += 1;
  }
  return `${unit === 0 || size >= 999.5 ? Math.round(size) : Number(size.toPrecision(3))}${units[unit]}`;
}

/** Bytes on a disk or a network, as `docker system df`: "1.24GB". */
export const bytes = (size) => scaled(size, DECIMAL, 1000);

/** Bytes of memory, as `docker stats`: "1.24GiB". */
export const memory = (size) => scaled(size, BINARY, 1024);

/** Sum of what has `bytes`, null if unknown, and `at_least`. */
export const total = (parts) => ({
  bytes: parts.reduce((sum, part) => sum + (part.bytes ?? 0), 0),
  at_least: parts.some((part) => part.at_least),
});

/** Bytes of which a part may be unknown: "1.24GB", "at least 1.24GB", "unknown". */
export function amount({ bytes: size, at_least: more }) {
  if (!more) return bytes(size);
  return size ? `at least ${bytes(size)}` : "unknown";
}

/** The same within a sentence: "about 1.24GB", "at least 1.24GB", "of unknown size". */
export function about(size) {
  if (!size.at_least) return `about ${bytes(size.bytes)}`;
  return size.bytes ? amount(size) : "of unknown size";
}

/** Bytes per second. */
export const rate = (size) => (known(size) ? `${bytes(size)}/s` : UNKNOWN);

/** Cores of CPU: "0.21". */
export const cores = (used) => (known(used) ? used.toFixed(used < 10 ? 2 : 1) : UNKNOWN);

/** A limit of cores: "0.2", "4". */
export const limit = (number) => String(Number(number.toFixed(2)));

/** An amount and its limit: "0.10 of 0.20"; the amount alone where there is no limit. */
export const ofLimit = (format, used, limit) =>
  known(used) && known(limit) ? `${format(used)} of ${format(limit)}` : format(used);

/** A share from 0 to 1: "35%". */
export const percent = (share) =>
  known(share) ? `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%` : UNKNOWN;

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

/** A time with its day, and its year unless that is this one: "3 Nov 2025, 14:03", "3 Nov, 14:03". */
export function moment(time) {
  if (!known(time)) return UNKNOWN;
  const isThisYear = new Date(time * 1000).getFullYear() === new Date().getFullYear();
  return isThisYear ? `${day(time)}, ${minute(time)}` : MOMENT.format(time * 1000);
}

/** A time to the second, with its day unless that is today: "14:03:07", "3 Nov, 14:03:07". */
export const lately = (time) => (day(time) === day(Date.now() / 1000) ? clock(time) : `${day(time)}, ${clock(time)}`);

/** The browser's time zone: "Europe/Berlin (UTC+01:00)". */
export function zone() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const minutes = -new Date().getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const offset = `UTC${minutes < 0 ? "−" : "+"}${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
  return timeZone === "UTC" ? "UTC" : `${timeZone} (${offset})`;
}

/** Seconds since the epoch of an RFC 3339 time. */
export const seconds = (text) => Date.parse(text) / 1000;

/** The first digits of an ID, as Docker's commands show it. */
export const short = (id) => id.replace(/^sha256:/, "").slice(0, 12);

/** A reference of an image without the host of its registry: "shop/api:2". */
export function withoutRegistry(reference) {
  const [host, ...path] = reference.split("/");
  return path.length && (/[.:]/.test(host) || host === "localhost") ? path.join("/") : reference;
}

/** A name; of what has only an ID of 64 digits, as an anonymous volume or a deleted image, the first 12. */
export const short64 = (name) => (/^(sha256:)?[0-9a-f]{64}$/.test(name) ? short(name) : name);

/** "1 container", "3 build cache records". */
export function plural(kind, number) {
  const name = kind === "build_cache" ? "build cache record" : kind;
  return `${number} ${number === 1 ? name : name.replace(/y$/, "ie") + "s"}`;
}
