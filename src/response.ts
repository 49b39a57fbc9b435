/** Puts a session's cookies on a response without touching what others put there. */

/** Appends to the headers, on a copy where they cannot be changed. */
export function markResponse(
  response: Response,
  cookies: readonly string[],
  vary: string,
): Response {
  // 101 (WebSocket) and network errors cannot be rebuilt, and carry no page to cache.
  if (response.status < 200) return response
  try {
    mark(response.headers, cookies, vary)
    return response
  } catch {
    // From `fetch` or `Response.redirect`: immutable, except on Bun.
    const copy = new Response(response.body, response)
    mark(copy.headers, cookies, vary)
    return copy
  }
}

function mark(headers: Headers, cookies: readonly string[], vary: string): void {
  const varies = headers.get('vary')?.toLowerCase() ?? ''
  if (!varies.split(/[\s,]+/).some((name) => name === '*' || name === vary.toLowerCase())) {
    headers.append('vary', vary)
  }
  if (!cookies.length) return
  for (const cookie of cookies) headers.append('set-cookie', cookie)
  // OWASP: a response that sets a session cookie is not stored, by anybody.
  if (!/no-store/i.test(headers.get('cache-control') ?? '')) {
    headers.set('cache-control', 'private, no-store')
  }
}
