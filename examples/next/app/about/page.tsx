/** Does not use the session, and so is built once. */
export default function About() {
  return <main>About this shop</main>
}
