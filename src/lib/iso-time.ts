const dayMs = 86_400_000;

const two = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/** The day of the last time, since times that are written together are often of one day. */
let day = { ms: Number.NaN, text: '' };

/** As `Date.prototype.toISOString`, which takes ten times as long; for lists. Errors: `RangeError` for what is no time. */
export function isoTime(timeMs: number): string {
  const ms = Math.trunc(timeMs);
  const ofDay = ms - Math.floor(ms / dayMs) * dayMs;
  if (ms - ofDay !== day.ms) day = { ms: ms - ofDay, text: new Date(ms - ofDay).toISOString().slice(0, -'00:00:00.000Z'.length) };
  const seconds = Math.floor(ofDay / 1_000);
  const minutes = Math.floor(seconds / 60);
  const thousandths = String((ofDay % 1_000) + 1_000).slice(1);
  return `${day.text}${two[Math.floor(minutes / 60)]}:${two[minutes % 60]}:${two[seconds % 60]}.${thousandths}Z`;
}
