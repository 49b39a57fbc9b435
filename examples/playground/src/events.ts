/** What each event means, in a sentence. The documents say what to do about it. */
export const MEANINGS: Readonly<Record<string, string>> = {
  'session.created': 'a new session was saved',
  'session.renewed': 'the idle timeout began again',
  'session.regenerated': 'a new credential: the former cookie opens nothing',
  'session.login': 'somebody signed in',
  'session.ended': 'a session was ended, and copies of its cookie with it',
  'session.expired': 'the time of this session is up',
  'session.missing': 'this session has ended, or the store does not have it',
  'session.superseded': 'another request replaced the cookie moments ago',
  'session.reused': 'a replaced cookie came back: somebody has a copy',
  'session.invalid': 'this cookie was not sealed here, or under a secret that is gone',
  'session.binding-mismatch': 'the cookie came from another browser than it is bound to',
  'session.uncommitted': 'a change was not saved',
  'session.corrupt': 'what was stored is no session',
  'session.imported': 'a session of another library was taken over',
  'session.import-conflict': 'two libraries had a session, one went on',
  'device.registered': 'the session is bound to a key of its device',
  'device.refreshed': 'the device proved its key',
  'device.skipped': 'the device gave no proof this time',
  'device.refused': 'a proof was refused: another device, or an old proof',
  'commit.conflict': 'another request wrote first: the change is made on top of that',
  'commit.deferred': 'the store cannot be written: the change waits in the browser',
  'commit.applied': 'the change that had waited is written, once',
  'commit.dropped': 'a change was not written, and this says so',
  'cookie.too-large': 'the session does not fit into its cookie',
  'store.retry': 'an attempt failed, another one follows',
  'store.recovered': 'a later attempt succeeded: nobody noticed',
  'store.failed': 'all attempts failed',
  'store.stale': 'a cache answered with an older copy',
  'store.degraded': 'the store could not be asked: the page goes on without it',
  'store.unavailable': 'the store could not be asked, and the visitor got 503',
  'store.rolled-back': 'the store lost its last writes: the cookie knew better',
  'store.emptied': 'everything in the store is gone',
  'key.used': 'a former secret is still in use: it cannot be dropped yet',
  'breaker.open': 'the store failed so often that it is left alone for a while',
  'breaker.half-open': 'one call tries whether the store is back',
  'breaker.closed': 'the store is back',
  'policy.invalid': 'a wrong policy was refused, the former one stays',
}

/** The document that has every event, as this worker serves it. */
export const EVENTS_PATH = '/docs/error-handling.md'

/** The address of the row of an event; browsers find its name in the text. */
export const linkOf = (type: string): string => `${EVENTS_PATH}#:~:text=${encodeURIComponent(type)}`
