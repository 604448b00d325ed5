// Tells that the pipeline's functions run, and which of their secrets are set: names, never values.
import { reply } from "../_shared/reply.ts";

const ME = { name: "healthz", version: "1.2.0" };
const NEEDED = ["PUBLISH_SIGNING_KEY", "SUMMARY_API_KEY"];

Deno.serve(() => {
  const missing = NEEDED.filter((name) => !Deno.env.get(name));
  const pipeline = Deno.env.get("PIPELINE_NAME") ?? "unnamed";
  return reply(ME, { pipeline, healthy: missing.length === 0, missing });
});
