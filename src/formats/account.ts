/**
 * Accounts for a payload: each of its leaves (string, number, boolean) is part of the text that the payload added, or is at a key
 * path that its format calls plumbing, or is content. So a leaf that no format expects is never lost.
 */
import { isObject } from '../core/values.ts';
import { member } from './json.ts';

/**
 * The kind of the leaf at a key path. `plumbing`: about the stream, not part of the answer. `wordless`: content that is not text
 * (reasoning, sources, images). `tool`: part of a tool call. `content`: content although a row above includes the path.
 */
export type FieldKind = 'plumbing' | 'wordless' | 'tool' | 'content';

/** A value that is not an object, an array, null or `''`. */
export type Leaf = string | number | boolean;

/**
 * Key paths of each kind, as `choices.*.delta.role`: `*` is any key and any index, `**` at the end is the path and everything
 * below it.
 */
export type FieldRows = Partial<Readonly<Record<FieldKind, readonly string[]>>>;

interface Node {
  readonly children: Map<string, Node>;
  kind: FieldKind | undefined;
  /** The kind of everything below that has no row of its own. */
  below: FieldKind | undefined;
}

/** The rows of a format as a tree, for lookup while a payload is walked. */
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
  /** There is a leaf that is neither text nor in a row. */
  unknown: boolean;
  /** There are more than `MAX_WALKED` values: the others were not looked at. */
  isCutShort: boolean;
}

/**
 * At most this many values of one payload are looked at, about 10 ms of work that cannot be split into slices. A larger payload
 * counts as content. Frames of providers have a few dozen values, an embedding some thousands.
 */
export const MAX_WALKED = 10_000;

/** An object or array that is still to be walked. */
interface Step {
  readonly value: object;
  /** The key of the value, or of the array that contains it. */
  readonly key: string;
  readonly node: Node | undefined;
  /** The kind of everything below. */
  readonly below: FieldKind | undefined;
  readonly path: string;
}

/** Called for each leaf that is neither text nor in a row. */
export type OnUnknown = (path: string, leaf: Leaf) => void;

/**
 * Walks every leaf of `json`, up to `MAX_WALKED` values. `isText` returns whether a leaf is part of the text that this payload
 * added; `onUnknown` receives the path and value of each leaf that is not accounted for. It does not recurse: a payload may be
 * nested to any depth.
 */
export function account(
  json: unknown,
  table: FieldTable,
  isText: (leaf: Leaf) => boolean,
  onUnknown?: OnUnknown,
): Findings {
  const walk = new Walk(table, isText, onUnknown);
  const { root } = table;
  if (isObject(json)) walk.walk({ value: json, key: '', node: root, below: root.below, path: '' });
  else if (isLeaf(json)) walk.judge(json, '', root.kind, '');
  return walk.findings;
}

class Walk {
  readonly findings: Findings = { wordless: false, tool: false, unknown: false, isCutShort: false };
  readonly #table: FieldTable;
  readonly #isText: (leaf: Leaf) => boolean;
  readonly #onUnknown: OnUnknown | undefined;
  readonly #steps: Step[] = [];
  #left = MAX_WALKED;

  constructor(
    table: FieldTable,
    isText: (leaf: Leaf) => boolean,
    onUnknown: OnUnknown | undefined,
  ) {
    this.#table = table;
    this.#isText = isText;
    this.#onUnknown = onUnknown;
  }

  walk(first: Step): void {
    for (let step: Step | undefined = first; step !== undefined; step = this.#steps.pop()) {
      if (Array.isArray(step.value)) this.#lookIntoArray(step, step.value);
      else this.#lookIntoObject(step, step.value);
    }
    this.findings.unknown ||= this.findings.isCutShort;
  }

  /** Classifies one leaf; `known` is the kind by its row. */
  judge(leaf: Leaf, key: string, known: FieldKind | undefined, path: string): void {
    if (this.#isText(leaf)) return;
    const kind = known ?? this.#table.byName?.(key, leaf) ?? 'content';
    if (kind === 'wordless') this.findings.wordless = true;
    else if (kind === 'tool') this.findings.tool = true;
    else if (kind === 'content') {
      this.findings.unknown = true;
      this.#onUnknown?.(path, leaf);
    }
  }

  #lookIntoArray(step: Step, values: readonly unknown[]): void {
    for (let at = 0; at < values.length; at += 1) {
      const value = values[at];
      if (isNothing(value)) continue;
      if (!this.#counts()) return;
      this.#visit(step, step.key, String(at), value);
    }
  }

  /** Reads the members one by one: to build the list of all entries costs more, because only the first are looked at. */
  #lookIntoObject(step: Step, value: object): void {
    for (const name of Object.keys(value)) {
      const child = member(value, name);
      if (isNothing(child)) continue;
      if (!this.#counts()) return;
      this.#visit(step, name, name, child);
    }
  }

  /** Counts one more value; false when it is over the limit. */
  #counts(): boolean {
    this.#left -= 1;
    if (this.#left < 0) this.findings.isCutShort = true;
    return this.#left >= 0;
  }

  #visit(parent: Step, key: string, name: string, value: unknown): void {
    const node = parent.node?.children.get(name) ?? parent.node?.children.get('*');
    const below = node?.below ?? parent.below;
    const path = this.#onUnknown === undefined ? '' : `${parent.path}.${name}`;
    if (isObject(value)) this.#steps.push({ value, key, node, below, path });
    else if (isLeaf(value)) this.judge(value, key, node?.kind ?? below, path);
  }
}

/** Whether a value is skipped without being counted. */
function isNothing(value: unknown): boolean {
  return value === null || value === '';
}

function isLeaf(value: unknown): value is Leaf {
  if (typeof value === 'string') return value !== '';
  return typeof value === 'number' || typeof value === 'boolean';
}
