/**
 * Accounts for a payload: each of its leaves (string, number, boolean) is part of the text that the payload added, or stands
 * where its format has plumbing, or is content. Nothing is left out because nobody asked for it.
 */
import { isObject } from '../core/values.ts';
import { member } from './json.ts';

/**
 * What stands at a key path. `plumbing`: about the stream and not of the answer. `wordless`: content that is no text
 * (reasoning, sources, images). `tool`: a part of a tool call. `content`: takes a path back out of a row above it.
 */
export type FieldKind = 'plumbing' | 'wordless' | 'tool' | 'content';

/** A value that is neither object nor array, nor void. */
export type Leaf = string | number | boolean;

/**
 * Key paths of each kind, as `choices.*.delta.role`: `*` is any key and any index, `**` at the end is the path and everything
 * below it.
 */
export type FieldRows = Partial<Readonly<Record<FieldKind, readonly string[]>>>;

interface Node {
  readonly children: Map<string, Node>;
  kind: FieldKind | undefined;
  /** Of everything below it that has no row of its own. */
  below: FieldKind | undefined;
}

/** The rows of a format, made ready to be looked up while a payload is walked. */
export class FieldTable {
  readonly root: Node = newNode();
  /** For leaves without a row, by their key alone: apps invent key paths, but use few key names. */
  readonly byName: ((key: string, leaf: Leaf) => FieldKind | undefined) | undefined;

  constructor(rows: FieldRows, byName?: (key: string, leaf: Leaf) => FieldKind | undefined) {
    this.byName = byName;
    for (const kind of KINDS) for (const path of rows[kind] ?? []) this.#add(path, kind);
  }

  #add(path: string, kind: FieldKind): void {
    let node = this.root;
    const keys = path.split('.');
    const deep = keys.at(-1) === '**';
    for (const key of deep ? keys.slice(0, -1) : keys) {
      const child = node.children.get(key) ?? newNode();
      node.children.set(key, child);
      node = child;
    }
    node.kind = kind;
    if (deep) node.below = kind;
  }
}

const KINDS: readonly FieldKind[] = ['plumbing', 'wordless', 'tool', 'content'];

function newNode(): Node {
  return { children: new Map(), kind: undefined, below: undefined };
}

/** What was found in a payload, besides its text. */
export interface Findings {
  wordless: boolean;
  tool: boolean;
  /** A leaf that is neither text nor known. */
  unknown: boolean;
  /** There are more than `MAX_WALKED` values: what the others are is not known. */
  isCutShort: boolean;
}

/**
 * So many values of one payload are looked at, about 10 ms of work that cannot be sliced. That a payload has content needs no
 * proof, so a larger one is content. Frames of providers have a few dozen, an embedding some thousands.
 */
export const MAX_WALKED = 10_000;

interface Step {
  readonly value: unknown;
  readonly key: string;
  readonly node: Node | undefined;
  /** Kind that was given to everything below. */
  readonly below: FieldKind | undefined;
  readonly path: string;
}

/**
 * Walks every leaf of `json`, or the first ones of more than `MAX_WALKED` values. `isText` says whether a leaf is part of the text that this payload added; `onUnknown` is told
 * the path and value of each leaf that is not accounted for. It does not recurse: what is sent may be nested without end.
 */
export function account(
  json: unknown,
  table: FieldTable,
  isText: (leaf: Leaf) => boolean,
  onUnknown?: (path: string, leaf: Leaf) => void,
): Findings {
  const findings = { wordless: false, tool: false, unknown: false, isCutShort: false };
  let left = MAX_WALKED;
  const steps: Step[] = [{ value: json, key: '', node: table.root, below: undefined, path: '' }];
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    const { value } = step;
    if (isObject(value)) {
      left -= pushChildren(steps, step, { value, left, withPath: onUnknown !== undefined });
      findings.isCutShort ||= left < 0;
      continue;
    }
    if (!isLeaf(value) || isText(value)) continue;
    const kind = step.node?.kind ?? step.below ?? table.byName?.(step.key, value) ?? 'content';
    if (kind === 'wordless') findings.wordless = true;
    else if (kind === 'tool') findings.tool = true;
    else if (kind === 'content') {
      findings.unknown = true;
      onUnknown?.(step.path, value);
    }
  }
  findings.unknown ||= findings.isCutShort;
  return findings;
}

/** Returns how many children there are; more than `left` are not pushed, and counted as one. */
function pushChildren(
  steps: Step[],
  step: Step,
  { value, left, withPath }: { value: object; left: number; withPath: boolean },
): number {
  const isArray = Array.isArray(value);
  // The names one by one: a list of all pairs costs more than to walk the few that are looked at.
  const names = isArray ? undefined : Object.keys(value);
  const count = names?.length ?? (value as readonly unknown[]).length;
  let pushed = 0;
  for (let at = 0; at < count; at += 1) {
    const name = names?.[at] ?? String(at);
    const child = isArray ? (value as readonly unknown[])[at] : member(value, name);
    if (child === null || child === '') continue;
    pushed += 1;
    if (pushed > left) break;
    const node = step.node?.children.get(name) ?? step.node?.children.get('*');
    steps.push({
      value: child,
      key: isArray ? step.key : name,
      node,
      below: node?.below ?? step.node?.below ?? step.below,
      path: withPath ? `${step.path}.${name}` : '',
    });
  }
  return pushed;
}

function isLeaf(value: unknown): value is Leaf {
  if (typeof value === 'string') return value !== '';
  return typeof value === 'number' || typeof value === 'boolean';
}
