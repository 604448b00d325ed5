/** How every function answers: JSON that names the function and its version. */
export interface Identity {
  name: string;
  version: string;
}

export function reply(who: Identity, body: object = {}, status = 200): Response {
  return Response.json({ function: who.name, version: who.version, ...body }, { status });
}

export function refused(who: Identity, problems: string[]): Response {
  return reply(who, { problems }, 422);
}

/** A request's body as an object; what is no JSON object becomes an empty one. */
export async function bodyOf(request: Request): Promise<Record<string, unknown>> {
  try {
    const body: unknown = await request.json();
    return body !== null && typeof body === "object" && !Array.isArray(body) ? body as Record<string, unknown> : {};
  } catch {
    return {};
  }
}
