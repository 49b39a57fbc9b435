// What a browser does with cookies, as far as these scenarios can tell.

/** A cookie whose name and value are longer together is ignored (RFC 6265bis, 5.7). */
const MAX_BYTES = 4096

export class Browser {
  #world
  cookies

  constructor(world, cookies = new Map()) {
    this.#world = world
    this.cookies = new Map(cookies)
  }

  /** Another browser with a copy of these cookies, as a thief has it. */
  copy() {
    return new Browser(this.#world, this.cookies)
  }

  /** Opens a page that runs `page(session)`; tells what came back. */
  async visit(page) {
    const { store, fetch } = this.#world
    const before = store.log.length
    const response = await fetch(page, [...this.cookies].map((pair) => pair.join('=')).join('; '))
    const complete = await response.text().then(
      (body) => response.status !== 200 || body === 'page',
      () => false,
    )
    await store.idle()
    const received = response.headers.getSetCookie()
    for (const cookie of received) this.#take(cookie)
    const { status, headers } = response
    return { status, headers, complete, received, operations: store.log.slice(before) }
  }

  /** What a page reads from the session, or undefined if the page failed. */
  async read(key) {
    let value
    await this.visit(async (session) => {
      value = await session.get(key)
    })
    return value
  }

  #take(header) {
    const [pair, ...attributes] = header.split(';').map((part) => part.trim())
    const at = pair.indexOf('=')
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
    if (name.length + value.length > MAX_BYTES) return
    const attribute = (key) =>
      attributes.find((text) => text.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1)
    const maxAge = attribute('max-age')
    const gone =
      maxAge === undefined ? Date.parse(attribute('expires')) <= Date.now() : Number(maxAge) <= 0
    if (gone) this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}
