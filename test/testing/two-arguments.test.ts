import { createMemoryStore } from '../../src/stores/memory.ts'
import { testStore } from '../../src/testing/index.ts'

// The runner is found, and a store alone will do.
testStore('a memory store without more said', () => createMemoryStore())
