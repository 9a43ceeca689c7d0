/** Formats the output of a command for a terminal: columns, times, and text from untrusted sources. */
import type { Io } from './io.ts';

/**
 * An `io` whose output cannot move the cursor of a terminal or reverse its text. Control characters are written as JSON escapes, so
 * that JSON output stays valid; line feeds and tabs stay.
 */
export function escapeOutput({ stdout, stderr, env }: Io): Io {
  const escaping = (stream: Io['stdout']): Io['stdout'] => ({
    write: (text) => stream.write(text.replaceAll(CONTROLS, escapeUnit)),
  });
  return { stdout: escaping(stdout), stderr: escaping(stderr), env };
}

/** Control characters except line feed and tab, line separators, and characters that change the direction of text. */
const CONTROLS = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Formats an id, which an app or its client chose: visible ASCII without spaces is printed as it is, anything else as a JSON string. */
export function printable(id: string): string {
  return /^[\x21-\x7e]+$/.test(id) ? id : JSON.stringify(id).replaceAll(/[^\x20-\x7e]/g, '?');
}

/** ISO 8601 of epoch milliseconds; `-` for 0, which means unknown, and for a number that is no date. */
export function time(atMs: number): string {
  return atMs > 0 && atMs <= MAX_DATE_MS ? new Date(atMs).toISOString() : '-';
}

/** The latest valid date (ECMA-262, Time Values). */
const MAX_DATE_MS = 8.64e15;

/** Rows as text with aligned columns. No row has more cells than the first. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
