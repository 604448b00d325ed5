// Turns a text into the words that it can be found by, and how often each occurs.
import { wordsOf } from "pipeline/article.ts";
import { bodyOf, reply } from "pipeline/reply.ts";

const ME = { name: "search-index", version: "0.8.2" };
const LIST = await Deno.readTextFile(new URL("./stop-words.txt", import.meta.url));
const STOP_WORDS = new Set(LIST.split("\n").filter(Boolean));

Deno.serve(async (request) => {
  const shortest = Number(Deno.env.get("SEARCH_SHORTEST_WORD") ?? "2");
  const { text = "" } = request.method === "POST" ? await bodyOf(request) : {};
  const counts: Record<string, number> = {};
  for (const word of wordsOf(String(text))) {
    if (word.length >= shortest && !STOP_WORDS.has(word)) counts[word] = (counts[word] ?? 0) + 1;
  }
  return reply(ME, { stop_words: STOP_WORDS.size, words: counts });
});
