// Takes one article as a feed brings it, and gives it back normalised, or with all that is wrong with it.
import { normalise } from "@pipeline/article";
import { bodyOf, refused, reply } from "@pipeline/reply";

const ME = { name: "ingest-article", version: "3.0.1" };
const MAX_WORDS = Number(Deno.env.get("INGEST_MAX_WORDS") ?? "20000");

Deno.serve(async (request) => {
  if (request.method !== "POST") return reply(ME, { accepts: "POST", max_words: MAX_WORDS });
  const article = normalise(await bodyOf(request), MAX_WORDS);
  return Array.isArray(article) ? refused(ME, article) : reply(ME, { article }, 201);
});
