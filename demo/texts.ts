/**
 * What the model "says" in the demo. Answers hold what breaks naive byte counting: accents, combining
 * marks, CJK, right-to-left script, emoji of one to seven code points.
 */
import type { Random } from './random.ts';

/** One answer, unique by its number so that text stored under the wrong conversation is noticed. */
export function answerText(number: number, random: Random): string {
  const sentences = random.shuffle(SENTENCES).slice(0, random.int(3, 5));
  return [`Answer ${number}.`, ...sentences].join(' ');
}

/** The answer cut into tokens of one to four characters (whole code points, as an API sends them). */
export function tokensOf(text: string, random: Random): string[] {
  const characters = Array.from(text);
  const tokens: string[] = [];
  for (let at = 0; at < characters.length;) {
    const length = random.int(1, 4);
    tokens.push(characters.slice(at, at + length).join(''));
    at += length;
  }
  return tokens;
}

const SENTENCES = [
  'Streaming is easy until somebody closes the tab 🙂.',
  'Ça dépend : l’été, le cœur de la forêt est déjà à 30 °C.',
  'Größe ist relativ, Öl schwimmt oben, und Füße müssen laufen.',
  '東京の天気は晴れで、気温は二十度です。',
  '数据库里有的，用户才算真的看到了。',
  '실시간 응답은 사라지면 안 됩니다.',
  'مرحبا بكم في عالم الرسائل المحفوظة.',
  'The family 👨‍👩‍👧‍👦 waves flags 🏳️‍🌈🇨🇭 and thumbs 👍🏽.',
  'Combining marks: e\u0301, n\u0303, a\u030a; and math: ∑ ∀x∈ℝ 𝒻(x) ≥ 0.',
  'Code: `const a = "b\\n";` and a tab\tand a "quote".',
  'Привет! Ответ сохранён прежде, чем вы ушли.',
  'A line break\nin the middle is text too.',
] as const;
