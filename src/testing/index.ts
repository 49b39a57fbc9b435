/**
 * Tools for tests of applications and of stores: a clock that can be moved, a cookie jar, a store
 * that fails on request, and the suite that every store must pass. Works in every runner.
 *
 * @module
 * @example
 * import { createClock, createCookieJar, createFaultyStore, testStore } from 'sojourn/testing'
 */

export { type Clock, createClock } from './clock.ts'
export { type StoreFactory, type StoreUnderTest, type TestApi, testStore } from './contract.ts'
export {
  type CookieJar,
  type CookieJarOptions,
  createCookieJar,
  type JarCookie,
} from './cookie-jar.ts'
export {
  type BoundSession,
  createDeviceBrowser,
  type DeviceBrowser,
  type DeviceBrowserOptions,
  type DeviceRequest,
} from './device.ts'
export {
  createFaultyStore,
  type Fault,
  type FaultyCall,
  type FaultyOperation,
  type FaultyStore,
  type FaultyStoreOptions,
} from './faulty-store.ts'
