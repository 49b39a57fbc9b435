/** Standard input, output and error of the process. */
import process from 'node:process'
import { createInterface } from 'node:readline/promises'
import { styleText } from 'node:util'

/** Styles of texts; none is written where the output is no terminal. */
export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow'

/** The terminal or the pipes of a command. */
export interface Terminal {
  /** Writes to standard output, and waits until it is out. */
  write(text: string): Promise<void>
  /** Writes to standard error. */
  note(text: string): Promise<void>
  /** Reads all of standard input; tells a person that it waits for it. */
  read(what: string): Promise<string>
  /** Asks a person; `null`: nobody can be asked, since standard input is no terminal. */
  confirm(question: string): Promise<boolean | null>
  paint(style: Style, text: string): string
}

/** Characters of standard input that are read at most: 16 KB of headers, and room for what is around them. */
const MAX_INPUT = 65_536
export function createTerminal(): Terminal {
  const { stderr, stdin, stdout } = process
  const isPainted = Boolean(stdout.isTTY) && !process.env.NO_COLOR
  const note = (text: string): Promise<void> => writeTo(stderr, text)
  return {
    note,
    write: (text) => writeTo(stdout, text),
    // Only for a terminal: Node leaves colours out for a pipe, and other runtimes may not.
    paint: (style, text) => (isPainted ? styleText(style, text, { validateStream: false }) : text),
    async read(what) {
      if (stdin.isTTY) await note(`Paste ${what}, then press Enter and Ctrl-D.\n`)
      let text = ''
      stdin.setEncoding('utf8')
      for await (const chunk of stdin) {
        text += chunk
        if (text.length > MAX_INPUT) break
      }
      return text.trim()
    },
    async confirm(question) {
      if (!stdin.isTTY) return null
      const lines = createInterface({ input: stdin, output: stderr })
      const answer = await lines.question(`${question} Type "yes" to go on: `)
      lines.close()
      return answer.trim().toLowerCase() === 'yes'
    },
  }
}

function writeTo(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    // A reader that has gone (`| head`) is no failure.
    stream.write(text, () => resolve())
  })
}
