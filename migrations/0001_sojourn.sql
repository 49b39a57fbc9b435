-- The tables of `createD1Store` (sojourn/d1). Apply with: npx wrangler d1 migrations apply <database>
CREATE TABLE sojourn_sessions (
  id TEXT PRIMARY KEY,
  -- A sealed text. Empty: the id is marked as ended until it expires.
  value TEXT NOT NULL,
  -- The version of the write that made the record.
  version TEXT NOT NULL,
  epoch TEXT NOT NULL,
  -- Epoch milliseconds.
  expires_at INTEGER NOT NULL,
  -- Seconds for which the end of the session marks its id, where that is longer than usual.
  mark_for INTEGER,
  -- A JSON array of opaque index keys, the user's first.
  index_keys TEXT NOT NULL,
  -- A JSON array of sealed texts, appended since that write.
  entries TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX sojourn_sessions_expires_at ON sojourn_sessions (expires_at);

-- The sessions of each index key: what `index_keys` says, the other way round.
CREATE TABLE sojourn_index (
  index_key TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (index_key, id)
) WITHOUT ROWID;

CREATE INDEX sojourn_index_id ON sojourn_index (id);
