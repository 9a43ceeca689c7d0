/** Writes the files that are made from the source. A test fails when one of them is not what this would write. */
import { readFile, writeFile } from 'node:fs/promises';
import { dashboardFiles } from '../tools/dashboards/index.ts';
import { rulesYaml } from '../src/slo/index.ts';
import { apiDoc } from './api-doc.ts';
import { formatsDoc } from './formats-doc.ts';
import { metricsDoc } from './metrics-doc.ts';
import { statusAssets } from './status-assets.ts';
import { promised } from '../test/matrix/jobs.ts';
import { compatibilityPage } from '../test/matrix/page.ts';

const formats = new URL('../docs/formats.md', import.meta.url);
await writeFile(new URL('../docs/api.md', import.meta.url), await apiDoc());
await writeFile(formats, formatsDoc(await readFile(formats, 'utf8')));
await writeFile(new URL('../src/status/assets.ts', import.meta.url), await statusAssets());
await writeFile(new URL('../docs/metrics.md', import.meta.url), metricsDoc());
await writeFile(
  new URL('../docs/compatibility.md', import.meta.url),
  compatibilityPage(promised()),
);
await writeFile(new URL('../alerts/lastchunk.rules.yml', import.meta.url), rulesYaml());
for (const [name, json] of dashboardFiles()) {
  await writeFile(new URL(`../dashboards/${name}`, import.meta.url), json);
}
