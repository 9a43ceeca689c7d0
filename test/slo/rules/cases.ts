/** All cases of the rule tests, in groups. */
import { burnCases } from './burn-cases.ts';
import { calmCases } from './calm-cases.ts';
import type { Case } from './case.ts';
import { journalCases } from './journal-cases.ts';
import { metaCases } from './meta-cases.ts';
import { saveCases } from './save-cases.ts';
import { streamCases } from './stream-cases.ts';

export const CASES: Readonly<Record<string, readonly Case[]>> = {
  'every day': calmCases,
  'burn rates': burnCases,
  saves: saveCases,
  journal: journalCases,
  streams: streamCases,
  'what the others stand on': metaCases,
};
