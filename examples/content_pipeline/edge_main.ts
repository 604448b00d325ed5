// Runs one Edge Function: `edge_main.ts <address of its entrypoint>`. Whatever port the function asks for, it gets a free one of
// this machine, and a line of its output names it. A module whose default export has `fetch` is served, too.

type Handler = (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>;
interface Served {
  handler?: Handler;
  onError?: (error: unknown) => Response | Promise<Response>;
}

const serve = Deno.serve;
let serving = false;

function listen({ handler, onError }: Served): Deno.HttpServer {
  if (!handler) throw new TypeError("Deno.serve was called without a handler");
  serving = true;
  const onListen = ({ port }: Deno.NetAddr) => console.log(`edge_main: listening on ${port}`);
  return serve({ hostname: "127.0.0.1", port: 0, onError, onListen }, handler);
}

Object.defineProperty(Deno, "serve", {
  value: (first: Handler | Served, second?: Handler) =>
    listen(typeof first === "function" ? { handler: first } : { ...first, handler: second ?? first.handler }),
});

const module = await import(Deno.args[0]);
if (!serving && typeof module.default?.fetch === "function") {
  listen({ handler: (request) => module.default.fetch(request) });
}
if (!serving) throw new Error("the module neither calls Deno.serve nor exports a default with fetch");
