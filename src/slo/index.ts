/** `lastchunk/slo`: the objectives of a chat service as rules, as data and as files. */
export type { AlertingRule, RecordingRule, RuleGroup, Severity } from './rule.ts';
export { ruleGroups } from './rules.ts';
export { rulesYaml } from './rules-file.ts';
export type { SloOptions } from './settings.ts';
