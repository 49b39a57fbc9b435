/** All commands, in the order of the help. */
import type { Command } from '../command.ts'
import { doctor } from './doctor.ts'
import { explain } from './explain.ts'
import { list } from './list.ts'
import { migrate } from './migrate.ts'
import { prune } from './prune.ts'
import { revoke } from './revoke.ts'
import { revokeAll } from './revoke-all.ts'
import { secret } from './secret.ts'
import { signEverybodyOut } from './sign-everybody-out.ts'
import { stats } from './stats.ts'

export const COMMANDS: readonly Command[] = [
  secret,
  explain,
  doctor,
  list,
  revoke,
  revokeAll,
  signEverybodyOut,
  prune,
  migrate,
  stats,
]
