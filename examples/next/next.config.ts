import { join } from 'node:path'

// The library is two folders up; an application of its own needs none of this.
export default { turbopack: { root: join(import.meta.dirname, '..', '..') } }
