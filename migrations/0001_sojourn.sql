-- The table of `createD1Store` (sojourn/d1). Apply with: npx wrangler d1 migrations apply <database>
CREATE TABLE sojourn_sessions (
  id TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  version TEXT NOT NULL,
  -- Versions of the last writes, the newest first, so that a repeated one is recognised.
  recent TEXT NOT NULL,
  -- Epoch milliseconds.
  expires_at INTEGER NOT NULL,
  -- An opaque handle of the user.
  subject TEXT,
  -- A JSON array of sealed texts.
  patches TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;

CREATE INDEX sojourn_sessions_subject ON sojourn_sessions (subject) WHERE subject IS NOT NULL;
CREATE INDEX sojourn_sessions_expires_at ON sojourn_sessions (expires_at);
