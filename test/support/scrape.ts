/** Parses metrics as a Prometheus server does. */

/** Series by name and labels. */
export interface Scrape {
  /** Sum of the series of this name that have all these labels; 0 if there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  /** True if at least one series of this name has all these labels. */
  has(name: string, labels?: Readonly<Record<string, string>>): boolean;
}

/** Parses the text format of Prometheus or OpenMetrics. */
export function parseScrape(text: string): Scrape {
  const series = text.split('\n').flatMap((line) => {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*?)\})? (\S+)/.exec(line);
    if (found === null) return [];
    const [, name = '', labels = '', value = ''] = found;
    return [{ name, labels: labels.split(','), value: Number(value) }];
  });
  const select = (name: string, labels: Readonly<Record<string, string>> = {}) => {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return series.filter(
      (one) => one.name === name && wanted.every((label) => one.labels.includes(label)),
    );
  };
  return {
    sum: (name, labels) => select(name, labels).reduce((total, { value }) => total + value, 0),
    has: (name, labels) => select(name, labels).length > 0,
  };
}
