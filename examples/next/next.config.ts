import { join } from 'node:path'

export default {
  // Shows the proxy what is only fetched ahead, so that it consumes no flash message.
  skipProxyUrlNormalize: true,
  // The library is two folders up; an application of its own needs none of this.
  turbopack: { root: join(import.meta.dirname, '..', '..') },
}
