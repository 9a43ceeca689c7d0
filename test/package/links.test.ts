/** Every link between pages leads to a file that is there, and to a heading that is in it. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { expect, it } from 'vitest';
import { listFiles, ROOT } from '../support/imports.ts';

const FOLDERS = ['docs', 'src', 'bench', 'demo', 'examples', 'test', 'scripts'];
const PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];

it('every link of a page leads to an existing file and heading', async () => {
  const listed = await Promise.all(
    FOLDERS.map(async (folder) => (await listFiles(folder)).map((file) => join(folder, file))),
  );
  const pages = [...PAGES, ...listed.flat().filter((file) => file.endsWith('.md'))];
  const broken: string[] = [];
  let links = 0;
  for (const page of pages) {
    for (const target of linksOf(await read(page))) {
      links += 1;
      if (!(await exists(page, target))) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(100);
});

async function exists(page: string, target: string): Promise<boolean> {
  const [path = '', heading] = target.split('#');
  const file = path === '' ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(ROOT, file))) return false;
  if (heading === undefined || !file.endsWith('.md')) return true;
  return headingsOf(await read(file)).includes(heading);
}

function read(page: string): Promise<string> {
  return readFile(join(ROOT, page), 'utf8');
}

/** Targets of links and pictures, those of other sites left out. */
function linksOf(markdown: string): readonly string[] {
  const text = markdown.replaceAll(/^```.*?^```/gms, '').replaceAll(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? '')
    .filter((target) => !/^(?:[a-z]+:|\/)/.test(target));
}

/** Anchors as GitHub makes them of headings. */
function headingsOf(markdown: string): readonly string[] {
  const text = markdown.replaceAll(/^```.*?^```/gms, '');
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
