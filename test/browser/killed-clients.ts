/**
 * The clients of `killed.test.ts`; this file runs in Chromium. Each function begins a conversation or resumes it, and resolves to how the
 * answer ended. It rejects with the error of the client.
 */
import { AbstractChat, type UIMessage } from 'ai';
import OpenAI from 'openai';
import { createTransport } from '../../examples/resume/transport.ts';
import { resumingFetch } from '../../src/client.ts';

/** Shows the text of the answer so far, in place of what was shown before. */
type Show = (text: string) => void;

// Declared here because the types of the DOM would apply to all files of the project.
declare const location: { readonly origin: string };
declare class EventSource {
  static readonly CLOSED: number;
  readonly readyState: number;
  onmessage: (event: { readonly data: string }) => void;
  onerror: () => void;
  constructor(url: string);
}

/** The `openai` client. */
export async function openai(id: string, show: Show): Promise<string> {
  const client = new OpenAI({
    baseURL: `${location.origin}/chat/${id}`,
    apiKey: 'none',
    dangerouslyAllowBrowser: true,
    maxRetries: 0,
    fetch: resumingFetch({ url: (streamId, offset) => `/streams/${streamId}?offset=${offset}` }),
  });
  const asking = client.chat.completions.create({ model: 'm', messages: [], stream: true });
  let text = '';
  for await (const { choices } of await asking) {
    show((text += choices[0]?.delta.content ?? ''));
  }
  return 'whole';
}

/** `useChat()` sends a message. */
export async function chat(id: string, show: Show): Promise<string> {
  const one = new Chat(id, show);
  await one.sendMessage({ text: 'Hello?' });
  return one.end;
}

/** `useChat({ resume: true })` resumes the conversation after a reload. */
export async function resumedChat(id: string, show: Show): Promise<string> {
  const one = new Chat(id, show);
  await one.resumeStream();
  return one.end;
}

/** An `EventSource` reads the stream that a request has begun. */
export async function eventSource(id: string, show: Show): Promise<string> {
  const { headers, body } = await fetch(`/events/${id}`, { method: 'POST' });
  await body?.cancel();
  const source = new EventSource(`/streams/${headers.get('x-stream-id')}`);
  let text = '';
  source.onmessage = ({ data }) => {
    if (data !== '[DONE]') show((text += String(JSON.parse(data))));
  };
  return new Promise((resolve) => {
    source.onerror = () => {
      // In any other state it connects again by itself.
      if (source.readyState === EventSource.CLOSED) resolve('closed');
    };
  });
}

/** The class behind `useChat()` of the AI SDK, without React. */
class Chat extends AbstractChat<UIMessage> {
  constructor(id: string, show: Show) {
    const messages: UIMessage[] = [];
    const showAnswer = (): void => {
      const { parts = [] } = messages.findLast(({ role }) => role === 'assistant') ?? {};
      show(parts.map((part) => (part.type === 'text' ? part.text : '')).join(''));
    };
    const state = {
      status: 'ready' as const,
      error: undefined,
      messages,
      pushMessage: (message: UIMessage) => {
        messages.push(message);
        showAnswer();
      },
      popMessage: () => void messages.pop(),
      replaceMessage: (index: number, message: UIMessage) => {
        messages[index] = message;
        showAnswer();
      },
      snapshot: <T>(thing: T): T => structuredClone(thing),
    };
    super({ id, transport: createTransport(), state });
  }

  /** How the last request ended. Throws its error. */
  get end(): string {
    if (this.error !== undefined) throw this.error;
    return this.lastMessage?.role === 'assistant' ? 'whole' : 'nothing to resume';
  }
}
