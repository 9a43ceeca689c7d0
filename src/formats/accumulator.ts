/** Accumulates frames into a message, by the functions of their format and the classification of their leaves. */
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

/** The accumulated frames so far. */
export class Accumulator {
  /** In order. */
  payloads = new Payloads();
  errorFrame = false;
  toolCalls = false;
  finishReason: string | undefined;
  usage = NO_USAGE;
  #finished = false;
  /** There is content that is not text, and that the format recognises. */
  #wordless = false;
  #unknown = false;
  #hasText = false;
  /** Bytes of payloads; counted only up to `EMPTY_MAX_BYTES`. */
  #bytes = 0;
  /** The text of frames of a vendor's format; it follows that of generic frames. */
  #text = new TextPieces();
  #answer = new AnswerText();
  #repeated = new RepeatedLeaves();

  /** An independent copy. */
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

  /** A finish marker came with no content after it, and no error came. */
  get finished(): boolean {
    return this.#finished && !this.errorFrame;
  }

  /** A payload has leaves that its format does not account for. */
  get unknownText(): boolean {
    return this.#unknown || this.#answer.hasStrangeValue || this.#repeated.content === 'unknown';
  }

  /** There is content that is not text, or it is unclear whether the payloads are deltas. */
  get wordless(): boolean {
    return this.#wordless || this.#answer.isAmbiguous || this.#repeated.content === 'known';
  }

  /** Every payload is accounted for and carries nothing, and together they are short. */
  get empty(): boolean {
    const isContent = this.#hasText || this.#wordless || this.toolCalls || this.errorFrame;
    return !isContent && this.#bytes <= EMPTY_MAX_BYTES && !this.unknownText && !this.wordless;
  }

  /** Adds one more frame, or a stray line, which is content that no format can read. */
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

  /** Adds a frame that was not parsed, because only its text is new: `piece` is that frame and nothing else. */
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

  /** The leaves of the last frame that all frames like it have too; for `addText`. */
  get lastLeaves(): readonly object[] {
    return this.#repeated.last;
  }

  /** Keeps a frame that is too large to be parsed: it is content, unless its beginning shows that it is an end. */
  addLarge({ text, signal }: LargeFrame): void {
    this.payloads.add(text);
    this.#countBytes(text);
    this.#unknown = true;
    this.errorFrame ||= signal === 'error';
    this.#finished = signal === 'finish';
  }

  /** Counts a payload. A long one is not measured in bytes, because that would flatten a rope, which copies it. */
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

  /**
   * Handles a text that repeats earlier text; without earlier text it is added as the text. True if it equals the end of the earlier text,
   * or was added here.
   */
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
    // The data of `event: error` describes the failure; it is not part of the answer.
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

  /** Whether a leaf is the text of this payload, or the whole text so far, which some streams repeat in each payload. */
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
    // Only JSON objects can be accounted for; other payloads only the format can read.
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

/** In a text of at most this many characters, a leaf may be a part of it; of a longer text it has to be the whole. */
const MAX_SEARCHED_CHARS = 16_384;

function partOf(text: string): (leaf: Leaf) => boolean {
  if (text.length > MAX_SEARCHED_CHARS) return textTest([text]);
  return (leaf) => text.includes(String(leaf));
}
