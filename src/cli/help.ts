/** The texts of `help`. */
import { type Command, OPTIONS, type OptionName, type Result } from './command.ts'
import type { Terminal } from './terminal.ts'
import { sentence, table, wrap } from './words.ts'

const EXIT_CODES = `Exit codes: 0 fine; 1 a sentence says what is wrong; 2 the command line is wrong.
Secrets come from the environment (SESSION_SECRET) and cookies from standard input, never from arguments.
`
export function overview(commands: readonly Command[], { paint }: Terminal): Result {
  const rows = commands.map((one) => [`  ${usageOf(one)}`, one.summary])
  return {
    text: `${paint('bold', 'Usage')}: npx sojourn <command> [options]

${table(rows)}
npx sojourn help <command> shows options and examples.
${EXIT_CODES}`,
    json: { commands: commands.map(({ name, summary }) => ({ name, summary })) },
  }
}

export function helpOf(command: Command, { paint }: Terminal): Result {
  const names: OptionName[] = [...command.options, 'json', 'help']
  const rows = names.map((name) => {
    const option = OPTIONS[name]
    const value = 'value' in option ? ` ${option.value}` : ''
    return [`  --${name}${value}`, option.text]
  })
  const examples = command.examples.map(([line, meaning]) => `  # ${meaning}\n  ${line}\n`)
  return {
    text: `${paint('bold', 'Usage')}: npx sojourn ${usageOf(command)} [options]

${wrap(`${command.summary}. ${sentence(command.details)}`)}

${paint('bold', 'Options')}
${table(rows)}
${paint('bold', 'Examples')}
${examples.join('\n')}`,
    json: { name: command.name, summary: command.summary, options: names },
  }
}

function usageOf({ argument, name }: Command): string {
  return argument ? `${name} <${argument}>` : name
}
