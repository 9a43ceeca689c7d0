/** Adding frames up to a message, by what a format says of each and by the account of its leaves. */
import { account, type FieldTable, type Leaf } from './account.ts';
import { AnswerText } from './answer-text.ts';
import { ask, tableOf } from './custom-format.ts';
import { type BuiltInFormat, type Format, type Frame, payloadOf, textTest } from './format.ts';
import { isFrame, type Found } from './frames.ts';
import type { LargeFrame } from './large-frame.ts';
import { isObject } from '../core/values.ts';
import { Payloads } from './payloads.ts';
import { asBuiltIn, isNobodys } from './registry.ts';
import { MAX_LEAVES, RepeatedLeaves, type Weight } from './repeated-leaves.ts';
import { TextPieces } from './text-pieces.ts';
import { laterUsage, NO_USAGE } from './usage.ts';

/** A stream with more bytes of payloads than this counts as having an answer, even if no text was found. */
const EMPTY_MAX_BYTES = 512;

/** What the frames so far amount to. */
export class Accumulator {
  /** In order. */
  payloads = new Payloads();
  errorFrame = false;
  toolCalls = false;
  finishReason: string | undefined;
  usage = NO_USAGE;
  #finished = false;
  /** Content that is no text, and known as such. */
  #wordless = false;
  #unknown = false;
  #hasText = false;
  /** Of payloads; beyond `EMPTY_MAX_BYTES` it is not counted on. */
  #bytes = 0;
  /** The text of a vendor's format, behind that of nobody's. */
  #text = new TextPieces();
  #answer = new AnswerText();
  #repeated = new RepeatedLeaves();

  /** One that goes on from here by itself. */
  copy(): Accumulator {
    const copy = new Accumulator();
    copy.payloads = this.payloads.copy();
    copy.errorFrame = this.errorFrame;
    copy.toolCalls = this.toolCalls;
    copy.finishReason = this.finishReason;
    copy.usage = this.usage;
    copy.#finished = this.#finished;
    copy.#wordless = this.#wordless;
    copy.#unknown = this.#unknown;
    copy.#hasText = this.#hasText;
    copy.#bytes = this.#bytes;
    copy.#text = this.#text.copy();
    copy.#answer = this.#answer.copy();
    copy.#repeated = this.#repeated.copy();
    return copy;
  }

  get text(): string {
    return this.#answer.text + this.#text.toString();
  }

  /** The last frame with a meaning was a finish marker, and no error came. */
  get finished(): boolean {
    return this.#finished && !this.errorFrame;
  }

  /** A payload has leaves that its format does not know. */
  get unknownText(): boolean {
    return this.#unknown || this.#answer.hasStrangeValue || this.#repeated.content === 'unknown';
  }

  /** Content that is no text is there, or it cannot be told what is. */
  get wordless(): boolean {
    return this.#wordless || this.#answer.isAmbiguous || this.#repeated.content === 'known';
  }

  /** Every payload is accounted for and carries nothing, and they are few. */
  get empty(): boolean {
    const isContent = this.#hasText || this.#wordless || this.toolCalls || this.errorFrame;
    return !isContent && this.#bytes <= EMPTY_MAX_BYTES && !this.unknownText && !this.wordless;
  }

  /** Counts one more frame in, or a stray line: content that no format can know. */
  add(format: Format, found: Found, report: (error: unknown) => void): void {
    if (!isFrame(found)) {
      this.payloads.add(found.stray);
      this.#countBytes(found.stray);
      this.#unknown = true;
      this.#finished = false;
      return;
    }
    this.payloads.add(found.json === undefined ? found.data : found.json);
    this.#countBytes(found.data);
    const builtIn = asBuiltIn(format);
    if (builtIn === undefined) this.#addCustom(format, found, report);
    else if (isNobodys(builtIn)) this.#addNobodys(builtIn, found);
    else this.#addVendors(builtIn, found);
  }

  /** Counts a frame in of which only the text is new, and which was not parsed: `piece` holds it and nothing else. */
  addText(format: Format, text: string, piece: string, leaves: readonly object[]): void {
    this.payloads.addUnparsed(piece);
    this.#hasText = true;
    this.#finished = false;
    if (!isNobodys(format)) {
      this.#text.add(text);
      return;
    }
    this.#answer.add(text);
    this.#repeated.repeat(leaves);
  }

  /** What of the frame that was added last another one like it has too; for `addText`. */
  get lastLeaves(): readonly object[] {
    return this.#repeated.last;
  }

  /** Keeps a frame that is too large to be parsed: it is content, unless it says at its beginning that it is an end. */
  addLarge({ text, signal }: LargeFrame): void {
    this.payloads.add(text);
    this.#countBytes(text);
    this.#unknown = true;
    this.errorFrame ||= signal === 'error';
    this.#finished = signal === 'finish';
  }

  /** A longer one need not be counted through, which copies it where it is a rope. */
  #countBytes(data: string): void {
    if (this.#bytes > EMPTY_MAX_BYTES) return;
    this.#bytes += data.length > EMPTY_MAX_BYTES ? data.length : Buffer.byteLength(data);
  }

  #addVendors(format: BuiltInFormat, frame: Frame): void {
    const texts = format.texts(frame);
    const added = texts.join('');
    this.#text.add(added);
    const whole = format.whole(frame);
    const repeats = this.#takeWhole(whole);
    const isText = textTest(repeats ? [...texts, ...whole] : texts);
    const found = account(payloadOf(frame), format.fields(frame), isText);
    const failed = format.failed(frame);
    this.toolCalls ||= found.tool;
    this.#wordless ||= found.wordless || (failed && found.unknown);
    this.#unknown ||= found.unknown && !failed;
    const carries = added !== '' || found.tool || found.wordless || found.unknown;
    this.#mark(format, frame, { failed, carries: carries && !repeats });
  }

  /** Text that is there once more; all of it, where none came before. */
  #takeWhole(whole: readonly string[]): boolean {
    if (whole.length === 0) return false;
    const text = whole.join('');
    if (this.#text.length > 0) return this.#text.endsWith(text);
    this.#text.add(text);
    this.#hasText ||= text !== '';
    return true;
  }

  #addNobodys(format: BuiltInFormat, frame: Frame): void {
    const failed = format.failed(frame);
    const ends = format.terminal(frame);
    const isObjectFrame = isObject(frame.json);
    // Behind `event: error` stands what went wrong, and not more of the answer.
    const [text] = failed && !isObjectFrame ? [] : format.texts(frame);
    if (isObjectFrame && text === undefined) this.#answer.noteObject();
    else if (isObjectFrame) this.#answer.add(text ?? '', ends);
    else if (frame.json !== undefined && (text !== undefined || !(ends || failed))) {
      this.#answer.addPrimitive(frame.data, frame.json);
    } else if (text !== undefined) this.#answer.addBare(text);
    const hasText = text !== undefined && text !== '';
    if (isObjectFrame || (failed && !hasText)) {
      this.#addLeaves(format.fields(frame), frame, this.#textOr(text), {
        hasText,
        weight: failed ? 'known' : 'unknown',
      });
    }
    const isValue = !isObjectFrame && frame.json !== undefined && !ends;
    this.#mark(format, frame, { failed, carries: hasText || isValue });
  }

  /** Some repeat in each payload what the ones before it said. */
  #textOr(text: string | undefined): (leaf: Leaf) => boolean {
    if (text === undefined || text === '') return () => false;
    const isText = textTest([text]);
    return (leaf) => isText(leaf) || (typeof leaf === 'string' && this.#answer.isWhole(leaf));
  }

  #addLeaves(
    table: FieldTable,
    frame: Frame,
    isText: (leaf: Leaf) => boolean,
    { hasText, weight }: { readonly hasText: boolean; readonly weight: Weight },
  ): void {
    const leaves: (readonly [string, Leaf])[] = [];
    const found = account(payloadOf(frame), table, isText, (path, leaf) => {
      if (leaves.length <= MAX_LEAVES) leaves.push([path, leaf]);
    });
    this.toolCalls ||= found.tool;
    this.#wordless ||= found.wordless || (found.isCutShort && weight === 'known');
    this.#unknown ||= found.isCutShort && weight === 'unknown';
    this.#repeated.add(leaves, hasText, weight);
  }

  #addCustom(format: Format, frame: Frame, report: (error: unknown) => void): void {
    const { carries, text, terminal } = ask(format, frame, report);
    this.#text.add(text);
    const failed = carries === 'error';
    this.#unknown ||= carries === 'unknown';
    this.#wordless ||= carries === 'content' && text === '';
    // What is no JSON object only the format can look into.
    if (isObject(frame.json) && carries !== 'unknown') {
      this.#addLeaves(tableOf(format, report), frame, partOf(text), {
        hasText: text !== '',
        weight: carries === 'nothing' ? 'unknown' : 'known',
      });
    }
    if (text !== '' || carries === 'content' || carries === 'unknown') this.#finished = false;
    this.#hasText ||= text !== '' || carries === 'content';
    this.errorFrame ||= failed;
    if (terminal && !failed) this.#finished = true;
  }

  /** Content after a finish marker cancels that marker. */
  #mark(
    format: BuiltInFormat,
    frame: Frame,
    { failed, carries }: { readonly failed: boolean; readonly carries: boolean },
  ): void {
    if (carries) this.#finished = false;
    this.#hasText ||= carries;
    this.errorFrame ||= failed;
    if (!failed && (format.terminal(frame) || format.ends(frame))) this.#finished = true;
    this.finishReason = format.finishReason(frame) ?? this.finishReason;
    const said = format.usage?.(frame);
    if (said !== undefined) this.usage = laterUsage(this.usage, said);
  }
}

/** Leaves are looked for in a text of so many characters at most, of a longer one they have to be all. */
const MAX_SEARCHED_CHARS = 16_384;

function partOf(text: string): (leaf: Leaf) => boolean {
  if (text.length > MAX_SEARCHED_CHARS) return textTest([text]);
  return (leaf) => text.includes(String(leaf));
}
