/** React's `renderToPipeableStream()` for the pages, with a part that comes later, beside a guarded route of the same app. */
import express from 'express';
import type { Lastchunk } from '../../src/index.ts';
import { chatChunk } from '../support/frames.ts';
import { load } from './packages.ts';
import { ANSWER, guardOf, passOn, type Shape, WORDS } from './shape.ts';

interface Props {
  readonly text: Promise<string>;
}

async function reactApp(keep: Lastchunk | undefined): Promise<express.Express> {
  const { createElement: h, Suspense, use } = await load('react');
  const { renderToPipeableStream } = await load('react-dom/server');
  const Late = ({ text }: Props) => h('p', null, use(text));
  const Page = ({ text }: Props) =>
    h('main', null, h(Suspense, { fallback: 'waits' }, h(Late, { text })));
  const app = express();
  app.use(keep?.observe() ?? passOn);
  app.get('/', (_, res) => {
    const text = new Promise<string>((resolve) => {
      setTimeout(resolve, 20, 'comes later');
    });
    const { pipe } = renderToPipeableStream(h(Page, { text }), {
      onShellReady: () => {
        res.type('html');
        pipe(res);
      },
    });
  });
  app.post('/chat/:id', guardOf(keep), (_, res) => {
    res.type('text/event-stream');
    for (const content of WORDS) res.write(chatChunk({ content }));
    res.write(chatChunk({}, 'stop'));
    res.end('data: [DONE]\n\n');
  });
  return app;
}

export const REACT: Shape = {
  needs: ['react', 'react-dom/server'],
  app: reactApp,
  asks: [{ path: '/' }, { path: '/chat/7', method: 'POST' }],
  sees: ['<main>', 'waits', 'comes later', '"content":" big"'],
  rows: [{ text: ANSWER }],
  // A page is no stream: nobody resumes it, and no message comes of it.
  streams: { '/chat/:id': 1 },
};
