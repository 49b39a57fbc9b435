/** Requests whose page nobody sees yet, so that it must not consume what is shown once. */

/**
 * Tells whether a request is a `HEAD`, or fetches a page ahead of a click that may never come: browsers say
 * so in `Sec-Purpose`, older ones in `Purpose`.
 */
export function isUnseen({ headers, method }: Request): boolean {
  const purpose = headers.get('sec-purpose') ?? headers.get('purpose')
  return method === 'HEAD' || /^prefetch/i.test(purpose ?? '')
}
