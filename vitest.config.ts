import { defineConfig } from 'vitest/config'

// The ending of a test file says what it needs: `.test.ts` nothing, `.pg.test.ts` PostgreSQL, `.etcd.test.ts` etcd, tests/ the built program.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts'], exclude: ['src/**/*.pg.test.ts', 'src/**/*.etcd.test.ts'], testTimeout: 20_000 } },
      { test: { name: 'pg', include: ['src/**/*.pg.test.ts', 'src/**/*.etcd.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, maxWorkers: 2 } },
      {
        test: {
          name: 'system',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/faults/**'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          fileParallelism: false,
        },
      },
      // The fault matrix on hosts takes some ten minutes: `npm run test:faults`.
      {
        test: {
          name: 'faults',
          include: ['tests/faults/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
          fileParallelism: false,
        },
      },
    ],
  },
})
