/** The logger where the app gives none: OpenTelemetry's own, which is silent until the app turns it on. */
import { diag } from '@opentelemetry/api';
import type { Logger } from '../core/logger.ts';

/** Writes to `diag` under the namespace `lastchunk`. */
export function createDiagLogger(): Logger {
  const log = diag.createComponentLogger({ namespace: 'lastchunk' });
  return {
    debug: (fields, message) => log.debug(message, fields),
    info: (fields, message) => log.info(message, fields),
    warn: (fields, message) => log.warn(message, fields),
    error: (fields, message) => log.error(message, fields),
  };
}
