/** What a command writes to a terminal: columns, times, and names that somebody else chose. */

/** An id is whatever an app, or its client, chose: nothing of it may move the cursor of a terminal. */
export function printable(id: string): string {
  return /^[\x21-\x7e]+$/.test(id) ? id : JSON.stringify(id).replaceAll(/[^\x20-\x7e]/g, '?');
}

/** ISO 8601 of epoch milliseconds; `-` for 0, which says that nobody knows. */
export function time(atMs: number): string {
  return atMs === 0 ? '-' : new Date(atMs).toISOString();
}

/** Rows with their columns under each other; the first row has as many cells as any. */
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
