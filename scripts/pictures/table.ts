/**
 * The cells of a table panel, as Grafana's transformations `merge` and `organize` arrange them: this part of Grafana is
 * not published.
 */

/** What a dashboard says of its table. */
interface TablePanel {
  readonly transformations: readonly { readonly id: string; readonly options: Organized }[];
  readonly options: {
    readonly sortBy?: readonly { readonly displayName: string; readonly desc?: boolean }[];
  };
}
interface Organized {
  readonly excludeByName?: Readonly<Record<string, boolean>>;
  readonly indexByName?: Readonly<Record<string, number>>;
  readonly renameByName?: Readonly<Record<string, string>>;
}

/** The answer to an instant query: labels, and a sample as Prometheus writes it. */
interface Answer {
  readonly refId: string;
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value: readonly [seconds: number, text: string];
  }[];
}

/** A label, a number, or nothing. */
export type Cell = string | number | undefined;

/** Titles of the columns, and the cells of each row: one for the labels that the answers share. */
export function cellsOf(
  { transformations, options: { sortBy = [] } }: TablePanel,
  answers: readonly Answer[],
): { readonly titles: readonly string[]; readonly rows: readonly (readonly Cell[])[] } {
  const rows = new Map<string, Map<string, Cell>>();
  for (const { refId, result } of answers) {
    const field = answers.length === 1 ? 'Value' : `Value #${refId}`;
    for (const { metric, value } of result) {
      // Prometheus writes labels in the order of their names.
      const key = JSON.stringify(metric);
      const row = rows.get(key) ?? new Map<string, Cell>(Object.entries(metric));
      rows.set(key, row.set(field, Number(value[1])));
    }
  }
  const organized = transformations.find(({ id }) => id === 'organize')?.options;
  const { excludeByName = {}, indexByName = {}, renameByName = {} } = organized ?? {};
  const place = (name: string): number => indexByName[name] ?? Number.MAX_SAFE_INTEGER;
  const columns = [...new Set([...rows.values()].flatMap((row) => [...row.keys()]))]
    .filter((name) => excludeByName[name] !== true)
    .toSorted((a, b) => place(a) - place(b));
  const titles = columns.map((name) => renameByName[name] ?? name);
  const cells = [...rows.values()].map((row) => columns.map((name) => row.get(name)));
  for (const { displayName, desc = false } of sortBy) {
    const at = titles.indexOf(displayName);
    const weight = (row: readonly Cell[]): number => Number(row[at] ?? 0) * (desc ? -1 : 1);
    cells.sort((a, b) => weight(a) - weight(b));
  }
  return { titles, rows: cells };
}
