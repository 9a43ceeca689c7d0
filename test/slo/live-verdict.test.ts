import { expect, it } from 'vitest';
import type { Arrived } from './live/monitoring.ts';
import { SCENARIOS, type Scenario } from './live/scenarios.ts';
import { renderTable } from './live/table.ts';
import { judge, missing } from './live/verdict.ts';

const scenario: Scenario = {
  name: 'storm',
  title: 'most clients leave',
  expected: ['LastchunkA warning', 'LastchunkB critical'],
  later: ['LastchunkC critical'],
  fault: () => Promise.resolve(),
};
const course = { streams: 100, brokenAtMs: 60_000 };

function arrival(alert: string, atMs: number, job = 'storm'): Arrived {
  return { job, alert, atMs, description: '' };
}
const both = [arrival('LastchunkA warning', 70_000), arrival('LastchunkB critical', 90_000)];

it('is good if the expected alerts arrived and no other', () => {
  expect(judge(scenario, course, both)).toEqual({
    title: 'most clients leave',
    streams: 100,
    alerts: ['LastchunkA warning (10 s)', 'LastchunkB critical (30 s)'],
    wrong: [],
  });
});

it('names an expected alert that is missing', () => {
  expect(missing(scenario, both.slice(1))).toEqual(['LastchunkA warning']);
  expect(judge(scenario, course, both.slice(1)).wrong).toEqual(['no LastchunkA warning']);
});

it('does not count an alert of another service or severity as the expected one', () => {
  const others = [
    arrival('LastchunkA warning', 70_000, 'silent'),
    arrival('LastchunkA critical', 70_000),
  ];
  expect(judge(scenario, course, [...others, ...both.slice(1)]).wrong).toEqual([
    'no LastchunkA warning',
    'also LastchunkA critical',
  ]);
});

it('names an alert that does not belong to the fault', () => {
  const arrived = [...both, arrival('LastchunkTargetDown warning', 95_000)];
  expect(judge(scenario, course, arrived).wrong).toEqual(['also LastchunkTargetDown warning']);
});

it('permits later alerts if the others take long', () => {
  const arrived = [...both, arrival('LastchunkC critical', 200_000)];
  expect(judge(scenario, course, arrived).wrong).toEqual([]);
});

it('does not count an alert that arrived before the fault', () => {
  const arrived = [arrival('LastchunkA warning', 50_000), ...both.slice(1)];
  expect(judge(scenario, course, arrived).wrong).toEqual([
    'LastchunkA warning before anything was broken',
  ]);
});

it('is bad for any alert of a service without a fault', () => {
  const plain: Scenario = { name: 'plain', title: 'plain traffic', expected: [] };
  const arrived = [arrival('LastchunkA warning', 70_000, 'plain')];
  expect(judge(plain, { streams: 1 }, arrived)).toMatchObject({
    alerts: ['LastchunkA warning'],
    wrong: ['also LastchunkA warning'],
  });
});

it('is bad for a service without streams, or whose fault failed', () => {
  const mishap = 'no such process';
  expect(judge(scenario, { ...course, streams: 0, mishap }, both).wrong).toEqual([
    'it could not be broken: no such process',
    'it had no streams',
  ]);
});

it('covers plain traffic and six faults, each with an alert of its own', () => {
  const broken = SCENARIOS.filter(({ fault }) => fault !== undefined);
  expect(SCENARIOS.length - broken.length).toBe(1);
  expect(broken).toHaveLength(6);
  const firsts = broken.map(({ expected }) => expected[0]);
  expect(new Set(firsts).size).toBe(6);
  expect(firsts).not.toContain(undefined);
});

it('is printed as a table with a line for every alert', () => {
  const table = renderTable([
    judge(scenario, course, both),
    judge({ ...scenario, title: 'another' }, course, []),
  ]);
  expect(table.split('\n').slice(2)).toEqual([
    expect.stringMatching(/^most clients leave +100 {2}ok +LastchunkA warning \(10 s\)$/),
    expect.stringMatching(/^ +LastchunkB critical \(30 s\)$/),
    expect.stringMatching(/^another +100 {2}FAILED +none$/),
  ]);
});
