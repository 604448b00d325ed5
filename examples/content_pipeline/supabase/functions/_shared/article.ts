/** An article as the pipeline keeps it, and the way from what a feed brings to that. */
export interface Article {
  slug: string;
  title: string;
  body: string;
  language: string;
  words: number;
}

export function slugOf(title: string): string {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
}

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Normalise an article, or tell everything that is wrong with it. */
export function normalise(raw: Record<string, unknown>, maxWords: number): Article | string[] {
  const title = String(raw.title ?? "").trim();
  const body = String(raw.body ?? "").replace(/\r\n?/g, "\n").replace(/[ \t]+/g, " ").trim();
  const language = String(raw.language ?? "en").toLowerCase();
  const words = wordsOf(body).length;
  const problems = [
    slugOf(title) ? "" : "title: needs at least one letter or digit",
    body ? "" : "body: is empty",
    words <= maxWords ? "" : `body: has ${words} words, ${maxWords} are allowed`,
    /^[a-z]{2}(-[a-z0-9]{2,4})?$/.test(language) ? "" : `language: '${language}' is no language code`,
  ].filter((problem) => problem !== "");
  return problems.length ? problems : { slug: slugOf(title), title, body, language, words };
}
