import { generateSecret } from '../../secret.ts'
import type { Command } from '../command.ts'

export const secret: Command = {
  name: 'secret',
  summary: 'Makes a secret for SESSION_SECRET: 32 random bytes as base64url',
  options: [],
  details: 'It is the only command that prints one',
  examples: [
    ['npx sojourn secret', 'A secret'],
    ['npx sojourn secret | wrangler secret put SESSION_SECRET', 'Puts it where it belongs, unseen'],
    [
      'echo "SESSION_SECRET=$SESSION_SECRET,$(npx sojourn secret)" >> .env',
      'A new one behind that in use: the first step of a rotation',
    ],
  ],
  async run() {
    const text = generateSecret()
    return { text: `${text}\n`, json: { secret: text } }
  },
}
