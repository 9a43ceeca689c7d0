/** Reads queries as Prometheus would: by the grammar that Prometheus's own web page uses. */
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** One `name{label="value"}` of a query. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly {
    readonly label: string;
    readonly operator: string;
    readonly value: string;
  }[];
  /** The function around it with nothing but a range between, as in `rate(x[5m])`. */
  readonly calledBy: string | undefined;
  /** The range as it is written, without brackets and with its variables. */
  readonly range: string | undefined;
}

/** What is known about a query. */
export interface Query {
  /** Places where it is not PromQL. */
  readonly mistakes: readonly string[];
  readonly selectors: readonly Selector[];
  /** Labels in `by (…)`, `on (…)` and their like. */
  readonly grouping: readonly string[];
}

/** Grafana's variables as it would fill them in for the sample time range. */
export const SAMPLE_VALUES: Readonly<Record<string, string>> = {
  $__rate_interval: '1m',
  $__range: '1h',
  $__interval: '15s',
};

/** The query with every variable filled in: times by samples, choices by "all". */
export function fillIn(expr: string, values = SAMPLE_VALUES): string {
  return expr.replaceAll(/\$[a-z_]\w*/gi, (name) => values[name] ?? '.+');
}

/** Parses a query that still has its variables. */
export function parse(expr: string): Query {
  const text = fillIn(expr);
  const raw = rawOf(expr);
  const mistakes: string[] = [];
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  parser.parse(text).iterate({
    enter: ({ node }) => {
      if (node.type.isError) mistakes.push(`${text.slice(0, node.from)} ⟵ here`);
      if (node.name === 'VectorSelector') selectors.push(selectorOf(node, text, raw));
      if (node.name === 'LabelName' && node.parent?.name === 'GroupingLabels')
        grouping.push(text.slice(node.from, node.to));
    },
  });
  return { mistakes, selectors, grouping };
}

/** What stands in quotes and in brackets, with its variables; filling them in changes nothing of the order. */
interface Raw {
  readonly quoted: readonly string[];
  readonly ranges: readonly string[];
}

function rawOf(expr: string): Raw {
  return {
    quoted: [...expr.matchAll(/"([^"]*)"/g)].map(([, text]) => text ?? ''),
    ranges: [...expr.matchAll(/\[([^\]]*)\]/g)].map(([, range]) => range ?? ''),
  };
}

function selectorOf(node: SyntaxNode, text: string, { quoted, ranges }: Raw): Selector {
  const before = (at: number, mark: string): number => text.slice(0, at).split(mark).length - 1;
  const textOf = (one: SyntaxNode | null): string =>
    one === null ? '' : text.slice(one.from, one.to);
  const matchers = (node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map(
    (matcher) => ({
      label: textOf(matcher.getChild('LabelName')),
      operator: textOf(matcher.getChild('MatchOp')),
      value: quoted[before(matcher.from, '"') / 2] ?? '',
    }),
  );
  const matrix = node.parent?.name === 'MatrixSelector' ? node.parent : undefined;
  const outer = matrix?.parent?.name === 'OffsetExpr' ? matrix.parent : (matrix ?? node);
  const call = outer.parent?.name === 'FunctionCallBody' ? outer.parent.parent : null;
  const called = call?.name === 'FunctionCall' ? call.getChild('FunctionIdentifier') : null;
  return {
    metric: textOf(node.getChild('Identifier')),
    matchers,
    calledBy: called === null ? undefined : textOf(called),
    range: matrix && ranges[before(matrix.to, '[') - 1],
  };
}
