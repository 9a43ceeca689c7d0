/** The `format` option at the door. */
import { describe, expect, it } from 'vitest';
import { LastchunkError } from '../../src/core/errors.ts';
import { FORMAT_NAMES, type Format, resolveFormat } from '../../src/formats/index.ts';

const own: Format = {
  name: 'own-lines',
  framing: 'ndjson',
  finishMarker: 'accepted',
  needles: ['END'],
  terminal: () => false,
  text: () => '',
  carries: () => 'nothing',
};

function messageOf(option: unknown): string {
  try {
    resolveFormat(option);
  } catch (error) {
    if (error instanceof LastchunkError && error.code === 'bad-option') return error.message;
    throw error;
  }
  throw new Error('was accepted');
}

it('names every format', () => {
  expect(FORMAT_NAMES).toEqual([
    'auto',
    'openai',
    'ai-sdk',
    'anthropic',
    'openai-responses',
    'gemini',
    'ollama',
    'ai-sdk-data',
    'sse',
    'ndjson',
    'text',
  ]);
});

it('accepts auto, a name, or a custom format', () => {
  expect(resolveFormat(undefined)).toBe('auto');
  expect(resolveFormat('auto')).toBe('auto');
  expect(resolveFormat('anthropic')).toMatchObject({ name: 'anthropic', finishMarker: 'needed' });
  expect(resolveFormat(own)).toBe(own);
  const { needles: _, ...without } = own;
  expect(resolveFormat(without)).toBe(without);
});

it('accepts an instance of a class, whose methods use this', () => {
  class Lines {
    readonly name = 'lines';
    readonly framing = 'ndjson';
    readonly finishMarker = 'none';
    readonly end = 'END';
    terminal(frame: { data: string }): boolean {
      return frame.data === this.end;
    }
    text(): string {
      return '';
    }
    carries(): 'nothing' {
      return 'nothing';
    }
  }
  expect(resolveFormat(new Lines())).toBeInstanceOf(Lines);
});

describe('refuses, and names the valid values for,', () => {
  it.each([['SSE'], [''], ['openai '], [7], [null], [['openai']], [() => 'openai']])(
    '%j',
    (option) => {
      const message = messageOf(option);
      expect(message).toContain('`format`');
      for (const name of FORMAT_NAMES) expect(message).toContain(name);
    },
  );

  it.each([
    ['name', ''],
    ['name', 'Own Lines'],
    ['name', 'openai'],
    ['name', 'auto'],
    ['name', 'x'.repeat(33)],
    ['framing', 'lines'],
    ['finishMarker', true],
    ['needles', []],
    ['needles', ['']],
    ['needles', ['x'.repeat(65)]],
    ['needles', 'END'],
    ['terminal', undefined],
    ['text', 'x'],
    ['carries', null],
  ])('a format whose %s is %j', (key, value) => {
    expect(messageOf({ ...own, [key]: value })).toContain(`\`format.${key}\``);
  });
});
