// Builds the Atom feed of the articles that it is given, from the template beside it, and signs it.
import { bodyOf, reply } from "pipeline/reply.ts";
import { signature } from "pipeline/signature.ts";

const ME = { name: "publish", version: "1.9.3" };
const TEMPLATE = await Deno.readTextFile(new URL("./feed.xml", import.meta.url));
const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(value: unknown): string {
  return String(value ?? "").replace(/[&<>"]/g, (character) => ESCAPES[character]);
}

function entry(article: Record<string, unknown>): string {
  return `  <entry><id>urn:pipeline:${escaped(article.slug)}</id><title>${escaped(article.title)}</title></entry>\n`;
}

Deno.serve(async (request) => {
  const title = Deno.env.get("FEED_TITLE") ?? "Content pipeline";
  const { articles = [], updated = "1970-01-01T00:00:00Z" } = request.method === "POST" ? await bodyOf(request) : {};
  const entries = Array.isArray(articles) ? articles.map(entry) : [];
  const values: Record<string, string> = { title: escaped(title), updated: escaped(updated), entries: entries.join("") };
  const feed = TEMPLATE.replace(/\{\{(\w+)\}\}/g, (_, name) => values[name] ?? "");
  const key = Deno.env.get("PUBLISH_SIGNING_KEY");
  return reply(ME, { entries: entries.length, feed, signature: key ? await signature(feed, key) : null });
});
