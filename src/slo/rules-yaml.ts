/** The rules as the file that Prometheus reads. */
import { stringify } from 'yaml';
import { ruleGroups } from './rules.ts';
import type { SloOptions } from './settings.ts';

/** A rule file for Prometheus 2.42 and later. Throws `bad-option` for an option outside of its range. */
export function rulesYaml(options: SloOptions = {}): string {
  return RULES_HEADER + stringify({ groups: ruleGroups(options) }, YAML_FORMAT);
}

/** The first line of every file with rules. */
export const RULES_HEADER = '# Made by `lastchunk rules`, which overwrites changes to this file.\n';

/** Long lines stay whole: they are easier to search than folded ones. */
export const YAML_FORMAT = {
  lineWidth: 0,
  singleQuote: true,
  aliasDuplicateObjects: false,
} as const;
