/** The Worker that the tests in workerd run beside; they do their work in the test files. */
export default {
  fetch(): Response {
    return new Response('sojourn tests')
  },
}

export { SessionObject } from '../../src/stores/durable-object.ts'
