/** Tells four events; run with NODE_DEBUG by `diagnostics.test.ts`. */
import { combine } from '../../src/core/observer.ts';
import { createDiagnostics } from '../../src/telemetry/diagnostics.ts';
import { aStream, anEnd } from './facts.ts';

const tell = combine([createDiagnostics()], (error) => {
  throw error;
});
const stream = aStream({ id: 'abc', route: '/chat', conversationId: 'of a user' });
tell.onStart(stream);
tell.onEnd(anEnd(stream, { outcome: 'completed', finishReason: 'text of a message' }));
tell.onIdConflict('one\nLASTCHUNK 1: forged\u001b[2J', 'given');
tell.onInternalError('store', new Error('text of a message'));
