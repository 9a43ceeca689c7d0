/** What send and serve-static document. */
import type { RequestListener } from 'node:http';
import { fileURLToPath } from 'node:url';
import send from 'send';
import serveStatic from 'serve-static';
import { casesOf, type Note, type PeerCase } from './peer-case.ts';

const ROOT = fileURLToPath(new URL('public', import.meta.url));

/** Its times are those of a checkout, which are nobody's data. */
const OPTIONS = { root: ROOT, lastModified: false } as const;

function sending(options: send.SendOptions = {}): (note: Note) => RequestListener {
  return (note) => (req, res) => {
    send(req, req.url ?? '/', { ...OPTIONS, ...options })
      .on('error', (error: { status: number }) => {
        note(`error ${error.status}`);
        res.statusCode = error.status;
        res.end('no');
      })
      .on('directory', () => {
        note('directory');
        res.end('directory');
      })
      .on('headers', () => note('headers'))
      .on('end', () => note('end'))
      .pipe(res);
  };
}

function serving(options: serveStatic.ServeStaticOptions = {}): (note: Note) => RequestListener {
  return (note) => {
    const serve = serveStatic(ROOT, { lastModified: false, ...options });
    return (req, res) =>
      serve(req, res, (error?: { status?: number }) => {
        note(`next ${error?.status ?? 'nothing'}`);
        res.statusCode = error?.status ?? 404;
        res.end('next');
      });
  };
}

export const FILES: readonly PeerCase[] = [
  ...casesOf('send', {
    'a file has a type, a length and an ETag': {
      app: sending(),
      asks: [{ path: '/text.txt' }],
      sees: ['200', 'content-type: text/plain', 'content-length: 15', 'etag: ', 'text of', 'end'],
    },
    'a range, and one that cannot be satisfied': {
      app: sending(),
      asks: ['bytes=5-6', 'bytes=-4', 'bytes=900-'].map((range) => ({
        path: '/text.txt',
        headers: { range },
      })),
      sees: ['206', 'content-range: bytes 5-6/15', 'of', '416', 'error 416'],
    },
    'HEAD has the head of GET': {
      app: sending(),
      asks: [{ path: '/text.txt', method: 'HEAD' }],
      sees: ['content-length: 15'],
    },
    'a condition that holds results in 304, one that fails in 412': {
      app: sending({ etag: true }),
      asks: [
        { path: '/text.txt', headers: { 'if-none-match': '*' } },
        { path: '/text.txt', headers: { 'if-match': '"other"' } },
      ],
      sees: ['304', '412'],
    },
    'a directory, a hidden file, a file above the root, and a missing file': {
      app: sending({ index: false }),
      asks: ['/below/', '/.hidden', '/../peer-case.ts', '/none'].map((path) => ({ path })),
      sees: ['error 404', 'error 403'],
    },
    'maxAge and immutable are in Cache-Control': {
      app: sending({ maxAge: 60_000, immutable: true }),
      asks: [{ path: '/text.txt' }],
      sees: ['cache-control: public, max-age=60, immutable'],
    },
  }),
  ...casesOf('serve-static', {
    'a directory results in its index, and without a slash in a redirect': {
      app: serving(),
      asks: [{ path: '/' }, { path: '/below' }, { path: '/below/' }],
      sees: ['<title>page', '301', 'location: /below/', 'below'],
    },
    'a missing file is passed to the next handler': {
      app: serving(),
      asks: [{ path: '/none' }, { path: '/text.txt', method: 'POST' }],
      sees: ['next nothing'],
    },
    'without fallthrough a missing file is an error': {
      app: serving({ fallthrough: false }),
      asks: [{ path: '/none' }, { path: '/text.txt', method: 'POST' }],
      sees: ['next 404', '405', 'allow: GET, HEAD'],
    },
    'setHeaders adds to the head': {
      app: serving({ setHeaders: (res) => void res.setHeader('x-mine', '1') }),
      asks: [{ path: '/text.txt' }],
      sees: ['x-mine: 1'],
    },
    'extensions are tried': {
      app: serving({ extensions: ['txt'] }),
      asks: [{ path: '/text' }],
      sees: ['text of a file'],
    },
  }),
];
