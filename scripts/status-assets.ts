/**
 * What is fixed of the status page, as a module of the source: markup, styles, script, and the runbooks as HTML. Made here, so that
 * an app needs neither a Markdown library nor files beside its bundle.
 */
import { readdir, readFile } from 'node:fs/promises';
import { marked } from 'marked';

const PAGE = new URL('status-page/', import.meta.url);
const RUNBOOKS = new URL('../docs/runbooks/', import.meta.url);

/** The text of `src/status/assets.ts`. */
export async function statusAssets(): Promise<string> {
  const read = (name: string): Promise<string> => readFile(new URL(name, PAGE), 'utf8');
  const base = await read('base.css');
  const files = (await readdir(RUNBOOKS)).filter((name) => name.endsWith('.md')).toSorted();
  const pages = await Promise.all(
    files.map(async (name) => {
      const html = runbookHtml(await readFile(new URL(name, RUNBOOKS), 'utf8'));
      return `  ${name.slice(0, -'.md'.length)}: ${literal(html)},`;
    }),
  );
  return `/** Made by \`npm run generate\` of scripts/status-page and docs/runbooks; what is written by hand here is lost the next time. */

/** The page, with places for its style, script and data. */
export const PAGE = ${literal(await read('page.html'))};

export const STYLE = ${literal(base + (await read('page.css')))};

/** One script of several modules: a page without a build has no imports. */
export const SCRIPT = ${literal(await script(read))};

export const RUNBOOK_STYLE = ${literal(base + (await read('runbook.css')))};

/** The pages of docs/runbooks, by name. */
export const RUNBOOKS: Readonly<Record<string, string>> = {
${pages.join('\n')}
};
`;
}

/** Each before those that import it. */
const MODULES = ['words.js', 'elements.js', 'plot.js', 'sections.js', 'page.js'];

async function script(read: (name: string) => Promise<string>): Promise<string> {
  const texts = await Promise.all(MODULES.map(read));
  const joined = texts
    .join('\n')
    .replaceAll(/^import [^;]*;\n/gm, '')
    .replaceAll(/^export /gm, '');
  return `(() => {\n'use strict';\n${joined}})();\n`;
}

/** A runbook as HTML: links to runbooks are those that `statusHandler()` answers, of other pages the file is named. */
export function runbookHtml(markdown: string): string {
  const html = marked.parse(markdown, { async: false });
  return html
    .replaceAll(/href="(\w+)\.md"/g, 'href="?runbook=$1"')
    .replaceAll(/<a href="\.\.\/([\w./#-]+)">(.*?)<\/a>/g, '$2 (<code>docs/$1</code>)')
    .trim();
}

function literal(text: string): string {
  return JSON.stringify(text);
}
