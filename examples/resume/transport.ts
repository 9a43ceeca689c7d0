/** In the page: `useChat({ id, resume: true, transport: createTransport() })`. */
import { DefaultChatTransport, type UIMessage } from 'ai';
import { resumingFetch } from 'lastchunk/client';

/** `origin` is '' where the page comes from the app itself. */
export function createTransport(origin = ''): DefaultChatTransport<UIMessage> {
  const url = (id: string, offset: number): string => `${origin}/streams/${id}?offset=${offset}`;
  return new DefaultChatTransport({ api: `${origin}/chat`, fetch: resumingFetch({ url }) });
}
