import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

/** Runs on every runtime: nothing in these needs Node. */
const neutral = ['test/**/*.test.ts']
const installRedis = 'test/support/install-redis.ts'
const installSql = 'test/support/install-sql.ts'
const installPrometheus = 'test/support/install-prometheus.ts'
/** Of what will come: a slow machine is no fault. */
const patient = { poll: { timeout: 60_000 } }
const nodeOnly = ['test/**/*.node.test.ts', 'test/e2e/**', 'test/workerd/**']

export default defineConfig({
  test: {
    // Most tests wait for a server more than for the processor.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'neutral',
          include: neutral,
          exclude: nodeOnly,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'node',
          include: ['test/**/*.node.test.ts'],
          exclude: ['test/e2e/**'],
          globalSetup: [installRedis, installSql, installPrometheus],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: patient,
        },
      },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: {
          name: 'workerd',
          include: [...neutral, 'test/workerd/**/*.test.ts'],
          exclude: ['test/**/*.node.test.ts', 'test/e2e/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: installRedis,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          expect: patient,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'site',
          include: ['site/test/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
