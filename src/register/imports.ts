/**
 * Makes `import` visible to instrumentations. What `require()` loads they see by themselves; what an ES module imports
 * passes a hook of the module loader, and only its makers' hook tells them.
 */
import { createRequire, register } from 'node:module';
import { pathToFileURL } from 'node:url';

/** What is instrumented. Only these pass the hook: it rewrites what it lets through, and not every module bears that. */
const HOOKED = ['http', 'https', 'express', 'pg', 'pg-pool'];

/** `import-in-the-middle/register-hooks.mjs`, from its version 3.1 on. */
interface SyncHooks {
  supportsSyncHooks(): boolean;
  register(options: { readonly include: readonly string[] }): void;
}

/**
 * Installs the hook of the `import-in-the-middle` that the instrumentations use; `instrumentation` is the file of
 * `@opentelemetry/instrumentation`. In this thread where Node can (it warns about the other way from 26 on), else in
 * a thread of its own.
 */
export function hookImports(instrumentation: string): void {
  const sync = loadSyncHooks(createRequire(instrumentation));
  if (sync?.supportsSyncHooks() === true) {
    sync.register({ include: HOOKED });
    return;
  }
  const parent = pathToFileURL(instrumentation);
  register('import-in-the-middle/hook.mjs', parent, { data: { include: HOOKED } });
}

function loadSyncHooks(require: NodeJS.Require): SyncHooks | undefined {
  try {
    // True for every version that has the file.
    return require('import-in-the-middle/register-hooks.mjs') as SyncHooks;
  } catch {
    // An older one, which only knows the other way.
    return undefined;
  }
}
