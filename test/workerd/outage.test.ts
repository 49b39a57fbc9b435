import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { createD1Store, type D1Binding } from '../../src/stores/d1.ts'
import {
  createDurableObjectStore,
  type SessionObjectNamespace,
} from '../../src/stores/durable-object.ts'
import { cuttable, surviveOutage } from '../support/outage.ts'
import { migrate } from './migrate.ts'

const database = env.DB as D1Binding
const namespace = env.SESSIONS as SessionObjectNamespace

describe('60 seconds without its store, with a snapshot', () => {
  beforeAll(() => migrate(database))

  it('in Durable Objects', () =>
    surviveOutage((now) => cuttable(createDurableObjectStore({ namespace, now })), expect))

  it('in D1', () => surviveOutage((now) => cuttable(createD1Store({ database, now })), expect))
})
