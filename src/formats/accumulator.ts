/** Adding frames up to a message, by the answers that a format gives about each. */
import { asBuiltIn } from './registry.ts';
import type { Carries, Format, Frame } from './format.ts';
import { framesIn, isFrame } from './frames.ts';
import type { Found, Framed } from './frames.ts';

/** What the frames so far amount to. */
export class Accumulator {
  text = '';
  /** Payloads in order: parsed, as they stood on the wire, or as the whole frame that is still to be parsed. */
  events: unknown[] = [];
  empty = true;
  finished = false;
  errorFrame = false;
  unknownText = false;
  toolCalls = false;
  wordless = false;
  finishReason: string | undefined;

  /** One that goes on from here by itself. */
  copy(): Accumulator {
    const copy = Object.assign(new Accumulator(), this);
    copy.events = [...this.events];
    return copy;
  }

  /** Counts one more frame in, or a stray line: content that no format can know. */
  add(format: Format, found: Found, report: (error: unknown) => void): void {
    if (!isFrame(found)) {
      this.events.push(found.stray);
      this.empty = false;
      this.unknownText = true;
      return;
    }
    const { carries, text, terminal } = ask(format, found, report);
    this.events.push(found.json === undefined ? found.data : found.json);
    this.text += text;
    this.empty &&= carries === 'nothing';
    this.unknownText ||= carries === 'unknown';
    this.errorFrame ||= carries === 'error';
    this.finished ||= terminal && carries !== 'error';
    const builtIn = asBuiltIn(format);
    const toolCall = builtIn?.toolCall(found) ?? false;
    this.toolCalls ||= toolCall;
    this.wordless ||= carries === 'content' && text === '' && !toolCall;
    this.finishReason = builtIn?.finishReason(found) ?? this.finishReason;
  }

  /** Counts a frame in of which only the text is new, and which was not parsed: `piece` holds it and nothing else. */
  addText(text: string, piece: string): void {
    this.text += text;
    this.empty = false;
    this.events.push(new Unparsed(piece));
  }
}

/** The payloads, all of them parsed. */
export function eventsOf(framing: Framed, payloads: readonly unknown[]): readonly unknown[] {
  return payloads.flatMap((payload) => {
    if (!(payload instanceof Unparsed)) return [payload];
    return framesIn(framing, payload.piece)
      .filter(isFrame)
      .map((frame) => frame.json);
  });
}

/** A frame that was recognised by its template; a class, to be told from what apps send. */
class Unparsed {
  readonly piece: string;

  constructor(piece: string) {
    this.piece = piece;
  }
}

interface Answer {
  readonly carries: Carries;
  readonly text: string;
  readonly terminal: boolean;
}

/** The three questions. A custom format may throw or answer nonsense: then the payload is unknown. */
function ask(format: Format, frame: Frame, report: (error: unknown) => void): Answer {
  try {
    const answer = {
      carries: format.carries(frame),
      text: format.text(frame),
      terminal: format.terminal(frame),
    };
    if (typeof answer.text === 'string' && CARRIES.includes(answer.carries)) return answer;
    report(new TypeError('a format must answer a string for text and a known word for carries'));
  } catch (error) {
    report(error);
  }
  return { carries: 'unknown', text: '', terminal: false };
}

const CARRIES: readonly Carries[] = ['nothing', 'content', 'error', 'unknown'];
