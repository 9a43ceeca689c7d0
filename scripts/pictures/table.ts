/** The cells of a table panel, as Grafana's transformation `organize` arranges them: this part of Grafana is not published. */

/** What a dashboard says of its table. */
interface TablePanel {
  readonly transformations: readonly [{ readonly options: Organized }];
}
interface Organized {
  readonly excludeByName: Readonly<Record<string, boolean>>;
  readonly indexByName: Readonly<Record<string, number>>;
  readonly renameByName: Readonly<Record<string, string>>;
}

/** A series of an instant query: labels, and a sample as Prometheus writes it. */
interface Instant {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [seconds: number, text: string];
}

/** Titles of the columns, and the texts of each row. `spell` writes a number in the unit of the panel. */
export function cellsOf(
  { transformations: [{ options }] }: TablePanel,
  result: readonly Instant[],
  spell: (value: number) => string,
): { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const { excludeByName, indexByName, renameByName } = options;
  const place = (name: string): number => indexByName[name] ?? Number.MAX_SAFE_INTEGER;
  const labels = result.flatMap(({ metric }) => Object.keys(metric));
  const columns = [...new Set([...labels, 'Value'])]
    .filter((name) => excludeByName[name] !== true)
    .toSorted((a, b) => place(a) - place(b));
  return {
    titles: columns.map((name) => renameByName[name] ?? name),
    rows: result.map(({ metric, value: [, text] }) =>
      columns.map((name) => (name === 'Value' ? spell(Number(text)) : (metric[name] ?? ''))),
    ),
  };
}
