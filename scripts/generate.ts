/** Writes the files that are made from the source. A test fails when one of them is not what this would write. */
import { writeFile } from 'node:fs/promises';
import { dashboardFiles } from '../src/slo/dashboards/index.ts';
import { metricsDoc } from '../src/telemetry/metrics-doc.ts';

await writeFile(new URL('../docs/metrics.md', import.meta.url), metricsDoc());
for (const [name, json] of dashboardFiles()) {
  await writeFile(new URL(`../dashboards/${name}`, import.meta.url), json);
}
