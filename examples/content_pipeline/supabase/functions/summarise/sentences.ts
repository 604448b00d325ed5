import { wordsOf } from "../_shared/article.ts";

export function sentencesOf(text: string): string[] {
  return text.match(/[^.!?…]+[.!?…]+["”’)]*\s*|[^.!?…]+$/gu)?.map((sentence) => sentence.trim()).filter(Boolean) ?? [];
}

/** The sentences whose words are the text's commonest, in the text's order. */
export function telling(text: string, count: number): string[] {
  const frequency = new Map<string, number>();
  for (const word of wordsOf(text)) frequency.set(word, (frequency.get(word) ?? 0) + 1);
  const weighed = sentencesOf(text).map((sentence, place) => {
    const words = wordsOf(sentence);
    const weight = words.reduce((sum, word) => sum + (frequency.get(word) ?? 0), 0) / Math.max(words.length, 1);
    return { sentence, place, weight };
  });
  const best = weighed.toSorted((a, b) => b.weight - a.weight || a.place - b.place).slice(0, count);
  return best.toSorted((a, b) => a.place - b.place).map(({ sentence }) => sentence);
}
