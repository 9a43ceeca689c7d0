/** What Express documents of its responses. */
import { fileURLToPath } from 'node:url';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { casesOf, type PeerCase } from './peer-case.ts';

const FILE = fileURLToPath(new URL('public/index.html', import.meta.url));

function answering(handler: RequestHandler): () => Express {
  return () => express().set('env', 'test').all('/', handler);
}

const tooLate: ErrorRequestHandler = (error, _req, _res, next) => next(error);

export const EXPRESS: readonly PeerCase[] = casesOf('express', {
  'res.json() sends its length and an ETag': {
    app: answering((_, res) => void res.json({ a: 1 })),
    sees: ['200', 'content-type: application/json', 'content-length: 7', 'etag: W/', '{"a":1}'],
  },
  'a fresh request gets 304 without a body': {
    app: answering((_, res) => void res.set('ETag', '"one"').send('text')),
    asks: [{ headers: { 'if-none-match': '"one"' } }],
    sees: ['304', 'etag: "one"'],
  },
  'the route of GET answers HEAD, without a body': {
    app: answering((_, res) => void res.send('text')),
    asks: [{ method: 'HEAD' }],
    sees: ['200', 'content-length: 4'],
  },
  'res.send() of bytes and of a string': {
    app: () =>
      express()
        .get('/bytes', (_, res) => void res.send(Buffer.from('bytes')))
        .get('/string', (_, res) => void res.type('txt').send('string')),
    asks: [{ path: '/bytes' }, { path: '/string' }],
    sees: ['content-type: application/octet-stream', 'bytes', 'text/plain', 'string'],
  },
  'res.redirect() sends 302 and a location': {
    app: answering((_, res) => res.redirect('/there')),
    sees: ['302', 'location: /there', 'Redirecting'],
  },
  'res.sendStatus() sends the name of a status, or no body': {
    app: () =>
      express()
        .get('/teapot', (_, res) => void res.sendStatus(418))
        .get('/nothing', (_, res) => void res.sendStatus(204)),
    asks: [{ path: '/teapot' }, { path: '/nothing' }],
    sees: ['418', "I'm a Teapot", '204'],
  },
  'res.sendFile() sends a range, then calls its callback': {
    app: (note) =>
      answering((_, res) => {
        res.sendFile(FILE, (error) => note(`sent: ${error instanceof Error}`));
      })(),
    asks: [{ headers: { range: 'bytes=0-4' } }],
    sees: ['206', 'content-range: bytes 0-4/', '<html', 'sent: false'],
  },
  'res.sendFile() of a missing file calls the error handler': {
    app: answering((_, res) => res.sendFile(`${FILE}.missing`)),
    sees: ['404', 'ENOENT'],
  },
  'res.download() names its file': {
    app: answering((_, res) => res.download(FILE, 'page.html')),
    sees: ['content-disposition: attachment; filename=page.html', '<html'],
  },
  'res.cookie() and res.clearCookie() each add a header': {
    app: answering((_, res) => void res.cookie('a', '1').clearCookie('b').send('done')),
    sees: ['set-cookie: ', 'done'],
  },
  'res.format() chooses by Accept': {
    app: answering((_, res) => {
      res.format({ text: () => void res.send('plain'), json: () => void res.json({ a: 1 }) });
    }),
    asks: [{ headers: { accept: 'application/json' } }, { headers: { accept: 'image/png' } }],
    sees: ['{"a":1}', 'vary: Accept', '406'],
  },
  'an error before the head results in a page with status 500': {
    app: answering(() => {
      throw new Error('early');
    }),
    sees: ['500', 'Error: early'],
  },
  'a rejection counts as an error': {
    app: answering(() => Promise.reject(new Error('rejected'))),
    sees: ['500', 'Error: rejected'],
  },
  'an error with a status and headers results in a response with these': {
    app: answering((_, _res, next) => {
      next(Object.assign(new Error('slow down'), { status: 429, headers: { 'retry-after': '1' } }));
    }),
    sees: ['429', 'retry-after: 1'],
  },
  'an error after the first bytes closes the connection': {
    app: () =>
      express()
        .set('env', 'test')
        .get('/', (_, res, next) => {
          res.type('txt').write('half');
          setImmediate(() => next(new Error('late')));
        })
        .use(tooLate),
    sees: ['half', 'cut, closed'],
  },
  'a path without a route results in 404': {
    app: () => express().set('env', 'test'),
    asks: [{ path: '/nowhere' }],
    sees: ['404', 'Cannot GET /nowhere'],
  },
  'OPTIONS lists the methods of a route': {
    app: () => express().get('/', (_, res) => void res.send('one')),
    asks: [{ method: 'OPTIONS' }],
    sees: ['allow: GET, HEAD'],
  },
  'express.json() reads a body, and refuses a malformed one': {
    app: () =>
      express()
        .set('env', 'test')
        .use(express.json())
        .post('/', (req, res) => void res.json(req.body)),
    asks: ['{"a":1}', '{"a":'].map((body) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })),
    sees: ['{"a":1}', '400'],
  },
  'res.end() calls its callback, then finish and close are emitted': {
    app: (note) =>
      answering((_, res) => {
        res.on('finish', () => note('finish')).on('close', () => note('close'));
        res.end('all', () => note('callback'));
      })(),
    sees: ['all', 'callback', 'finish', 'close'],
  },
  'when a client leaves, close is emitted without finish': {
    app: (note) =>
      answering((_, res) => {
        res.on('finish', () => note('finish')).on('close', () => note('close'));
        res.type('text/csv').write('some');
      })(),
    asks: [{ leavesAt: 'some' }],
    sees: ['close'],
  },
});
