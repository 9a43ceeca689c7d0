/**
 * Names of the recorded series, as `level:metric:operation` (Prometheus's own convention). The level stays `job` when
 * further labels are asked for, and the spans in the names stay when `speed` shortens them, so that a dashboard needs
 * no other queries.
 */
import { spell } from './duration.ts';

/** Each takes the span in seconds where there are several. */
export const RECORDS = {
  saves: (span: number) => `job:lastchunk_saves:rate${spell(span)}`,
  errors: (span: number) => `job:lastchunk_save_errors:rate${spell(span)}`,
  errorRatio: (span: number) => `job:lastchunk_save_errors_per_save:ratio_rate${spell(span)}`,
  untimelyRatio: (span: number) => `job:lastchunk_saves_untimely_per_save:ratio_rate${spell(span)}`,
  budgetRemaining: 'job:lastchunk_save_error_budget_remaining:ratio',
  disconnects: (span: number) => `job:lastchunk_disconnects:rate${spell(span)}`,
  disconnectRatio: (span: number) =>
    `job:lastchunk_disconnects_per_stream:ratio_rate${spell(span)}`,
  noise: (span: number) => `job:lastchunk_noise:rate${spell(span)}`,
  noiseRatio: (span: number) => `job:lastchunk_noise_per_stream:ratio_rate${spell(span)}`,
} as const;
