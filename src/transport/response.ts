/** Puts a session's cookies on a response without touching what others put there. */

/** The headers in which a session comes and goes. */
export type Carrier = readonly [request: string, response: string]

/** Appends to the headers, on a copy where they cannot be changed. */
export function markResponse(
  response: Response,
  values: readonly string[],
  carrier: Carrier,
): Response {
  try {
    mark(response.headers, values, carrier)
    return response
  } catch {
    // 101 (WebSocket) and network errors cannot be rebuilt, and carry no page to cache.
    if (response.status < 200) return response
    // From `fetch` or `Response.redirect`: immutable, except on Bun.
    const copy = new Response(response.body, response)
    mark(copy.headers, values, carrier)
    return copy
  }
}

function mark(headers: Headers, values: readonly string[], [vary, name]: Carrier): void {
  const known =
    headers
      .get('vary')
      ?.toLowerCase()
      .split(/[\s,]+/) ?? []
  if (!known.includes('*') && !known.includes(vary.toLowerCase())) headers.append('vary', vary)
  if (!values.length) return
  for (const value of values) headers.append(name, value)
  // OWASP: a response that sets a session cookie is not stored, by anybody. Headers for CDNs alone
  // (RFC 9213) would win over Cache-Control there.
  for (const name of [...headers.keys()]) {
    if (/(cdn-cache|surrogate)-control$/.test(name)) headers.delete(name)
  }
  if (!/no-store/i.test(headers.get('cache-control') ?? '')) {
    headers.set('cache-control', 'private, no-store')
  }
}
