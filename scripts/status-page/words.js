/** Numbers, times and states in words. */

export const count = new Intl.NumberFormat('en').format;

export function many(number, one, more = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : more}`;
}

/** Hours, minutes and seconds, by the clock of who looks. */
export function clock(time) {
  return new Date(time).toLocaleTimeString('en-GB');
}

export function minute(time) {
  return clock(time).slice(0, 5);
}

/** Never rounded up: 100 only where nothing failed. */
export function percent(share) {
  if (share === undefined) return '–';
  const digits = share >= 0.99 ? 1_000 : share >= 0.9 ? 100 : 10;
  return String(Math.floor(share * 100 * digits + 1e-7) / digits);
}

export function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

export function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = number < 1 ? 0 : Math.min(4, Math.floor(Math.log2(number) / 10));
  const value = number / 1_024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power]}`;
}

/** Of a stream. */
export const PHASES = {
  waiting: 'no answer yet',
  streaming: 'streaming',
  holding: 'last frame waits for the save',
  finishing: 'client left, being finished',
  stopping: 'being stopped',
  saving: 'over, being saved',
};

/** Of the instance. */
export const VERDICTS = { healthy: 'Healthy', degraded: 'Degraded', failing: 'Failing' };

/** Whom an alert tells, by its severity. */
export const TELLS = { critical: 'page', warning: 'ticket', info: 'nobody' };
