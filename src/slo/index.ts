/** `lastchunk/slo`: the objectives of a chat service as rules, as data and as files. */
export type { AlertingRule, RecordingRule, RuleGroup, Severity } from './rule.ts';
export { ruleGroups } from './rules.ts';
export { rulesYaml } from './rules-yaml.ts';
export type { SloOptions } from './settings.ts';
export type { Source } from './source.ts';
