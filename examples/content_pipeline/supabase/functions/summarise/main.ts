// Picks the sentences that tell most of a text; stands in for the model that SUMMARY_API_KEY would pay for.
import { bodyOf, refused, reply } from "../_shared/reply.ts";
import { telling } from "./sentences.ts";

const ME = { name: "summarise", version: "2.4.0" };
const SENTENCES = Number(Deno.env.get("SUMMARY_SENTENCES") ?? "3");

Deno.serve(async (request) => {
  const paid = Boolean(Deno.env.get("SUMMARY_API_KEY"));
  if (request.method !== "POST") return reply(ME, { accepts: "POST", sentences: SENTENCES, paid });
  const { text } = await bodyOf(request);
  if (typeof text !== "string" || !text.trim()) return refused(ME, ["text: is empty"]);
  return reply(ME, { summary: telling(text, SENTENCES).join(" ") });
});
