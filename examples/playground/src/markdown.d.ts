/** A document, as `wrangler.toml` has it imported. */
declare module '*.md' {
  const text: string
  export default text
}
