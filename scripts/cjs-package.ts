/** Marks what `tsc -p tsconfig.cjs.json` has made as CommonJS: the package itself says that its files are ES modules. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
await writeFile(
  join(root, 'dist/cjs/package.json'),
  '{ "type": "commonjs", "sideEffects": ["./core/supported-node.js"] }\n',
);
