export default defineEventHandler((event) => attachSession(event.node.req, event.node.res))
