// What the programs say of themselves and of the database.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every answer that is stored, by conversation. */
export async function storedRows(pg, connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query(
    'SELECT conversation_id, content, outcome, complete FROM lastchunk_messages ORDER BY conversation_id',
  );
  await client.end();
  return rows;
}

/** The versions that are really installed. */
export function versions() {
  const packages = JSON.parse(process.env.PACKAGES);
  const found = packages.map((name) => {
    const path = join(process.cwd(), 'node_modules', name, 'package.json');
    return [name, JSON.parse(readFileSync(path, 'utf8')).version];
  });
  return { node: process.versions.node, ...Object.fromEntries(found) };
}
