/** The little of Deno and Bun that the examples use; each brings its own types when it runs. */

type FetchHandler = (request: Request) => Response | Promise<Response>

declare const Deno: {
  readonly env: { get(name: string): string | undefined }
  serve(options: { hostname: string; port: number }, handler: FetchHandler): unknown
}

declare const Bun: {
  readonly env: Record<string, string | undefined>
  serve(options: { hostname: string; port: number; fetch: FetchHandler }): { readonly url: URL }
}
