/** The pages of the status. Their fixed parts are made by `npm run generate`; the status is inserted as data. */
import { createHash } from 'node:crypto';
import { PAGE, RUNBOOK_STYLE, RUNBOOKS, SCRIPT, STYLE } from './assets.ts';
import type { StatusAnswer } from './instance-status.ts';

/** A page, and the policy that allows a browser only the page's own script and style. */
export interface Page {
  readonly html: string;
  /** The value of the header `Content-Security-Policy`. */
  readonly policy: string;
}

const PAGE_POLICY = policyOf({ script: SCRIPT, style: STYLE });
const RUNBOOK_POLICY = policyOf({ style: RUNBOOK_STYLE });

/** The page with the current status; its script shows and updates it. */
export function statusPage(status: StatusAnswer): Page {
  // A `<` in the data could end the element that holds it.
  const data = JSON.stringify(status).replaceAll('<', String.raw`\u003c`);
  const parts: Readonly<Record<string, string>> = { style: STYLE, script: SCRIPT, data };
  const html = PAGE.replaceAll(
    /<!--(style|script|data)-->/g,
    (_, name: string) => parts[name] ?? '',
  );
  return { html, policy: PAGE_POLICY };
}

/** A page of docs/runbooks by its name, with a link `back` to the status; `undefined` if no runbook has that name. */
export function runbookPage(name: string, back: '?' | './'): Page | undefined {
  const body = Object.hasOwn(RUNBOOKS, name) ? RUNBOOKS[name] : undefined;
  if (body === undefined) return undefined;
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${name === 'README' ? 'Runbooks' : name}</title>
<style>${RUNBOOK_STYLE}</style>
</head>
<body>
<nav><a href="${back}">Status</a> <a href="?runbook=README">All runbooks</a></nav>
<main>
${body}
</main>
</body>
</html>
`;
  return { html, policy: RUNBOOK_POLICY };
}

function policyOf({ script, style }: { readonly script?: string; readonly style: string }): string {
  const parts = [
    "default-src 'none'",
    ...(script === undefined ? [] : [`script-src ${hashOf(script)}`, "connect-src 'self'"]),
    `style-src ${hashOf(style)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return parts.join('; ');
}

/** The hash that a browser computes for the text of an element. */
function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
