/** The units that Grafana knows, from the list that its Foundation SDK is made with. */
import * as known from '@grafana/grafana-foundation-sdk/units';

/** Their ids. */
export function units(): ReadonlySet<string> {
  return new Set(Object.values(known).filter((value) => typeof value === 'string'));
}
