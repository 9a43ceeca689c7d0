/**
 * What the kubelet does to the volume of a pod with `fsGroup`, done to a directory, and what the journal says of it. The modes
 * are those of pkg/volume/volume_linux.go of Kubernetes: `| 0660` for a file, `| 02770` for a directory; with `OnRootMismatch`
 * nothing is changed once the root has the group and these bits.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { checkDirectory } from '../../src/journal/ours.ts';
import { instances, open, recoverAll, speaker } from '../journal/support.ts';

/** The root of a volume, as the kubelet leaves it. */
function volume(mode: number): string {
  const root = mkdtempSync(join(tmpdir(), 'lastchunk-volume-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  chmodSync(root, mode);
  return root;
}

/** `fsGroupChangePolicy: Always`, for a group that is right already. */
function openToGroup(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) for (const name of readdirSync(path)) openToGroup(join(path, name));
  chmodSync(path, (stats.mode & 0o7777) | (stats.isDirectory() ? 0o2770 : 0o660));
}

/** A process that said something and was killed before it was saved. */
async function leave(path: string): Promise<void> {
  const { journal } = open(path);
  speaker(journal, 'a').say('words');
  await journal.close();
}

it.each([
  ['with fsGroup', 0o2775],
  ['of an emptyDir', 0o777],
])(
  'the root of a volume %s is refused, and a directory in it is created and stays accepted',
  async (_, mode) => {
    const root = volume(mode);
    expect(() => checkDirectory(root)).toThrow(/can be written by its group or by others/);
    const path = join(root, 'journal');
    await leave(path);
    // The bit for the group of what is made in it is inherited, and no right of the group.
    expect(lstatSync(path).mode & 0o777).toBe(0o700);
    checkDirectory(path);
    const next = open(path);
    expect((await recoverAll(next.journal)).length).toBe(1);
    await next.journal.close();
  },
);

it('a journal that fsGroupChangePolicy Always has opened to the group is refused until its modes are repaired', async () => {
  const path = join(volume(0o2775), 'journal');
  await leave(path);
  openToGroup(path);
  expect(instances(path).length).toBe(1);
  expect(() => checkDirectory(path)).toThrow(/can be written by its group .*mode 2770/);
  const store = { save: () => Promise.resolve(), close: () => Promise.resolve() };
  const keep = (): unknown => lastchunk({ store, journal: path, logger: false });
  expect(keep).toThrow(expect.objectContaining({ code: 'journal-unusable' }));
  // The command of docs/kubernetes.md.
  execFileSync('chmod', ['-R', 'go-rwx', path]);
  const { journal } = open(path);
  expect((await recoverAll(journal)).length).toBe(1);
  await journal.close();
});
