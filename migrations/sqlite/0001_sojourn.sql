-- The tables of `createSqlStore` (sojourn/sql), version 1. Every statement can be repeated.
-- D1: npx wrangler d1 migrations apply <database>, with these as its migrations_dir.
CREATE TABLE IF NOT EXISTS sojourn_sessions (
  id TEXT NOT NULL PRIMARY KEY,
  -- The version of the write that made the record.
  version TEXT NOT NULL,
  epoch TEXT NOT NULL,
  -- A sealed text. Empty: the id is marked as ended until it expires.
  value TEXT NOT NULL,
  -- Sealed texts appended since that write, with a space before each, and their number.
  entries TEXT NOT NULL,
  entry_count INTEGER NOT NULL,
  -- Epoch milliseconds.
  expires_at INTEGER NOT NULL,
  -- Seconds for which the end of the session marks its id, where that is longer than usual.
  mark_for INTEGER,
  -- Opaque index keys, the user's first.
  key1 TEXT,
  key2 TEXT,
  key3 TEXT,
  key4 TEXT,
  key5 TEXT,
  key6 TEXT,
  key7 TEXT,
  key8 TEXT,
  key9 TEXT
);

CREATE INDEX IF NOT EXISTS sojourn_sessions_expires_at ON sojourn_sessions (expires_at);

CREATE INDEX IF NOT EXISTS sojourn_sessions_key1 ON sojourn_sessions (key1) WHERE key1 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key2 ON sojourn_sessions (key2) WHERE key2 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key3 ON sojourn_sessions (key3) WHERE key3 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key4 ON sojourn_sessions (key4) WHERE key4 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key5 ON sojourn_sessions (key5) WHERE key5 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key6 ON sojourn_sessions (key6) WHERE key6 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key7 ON sojourn_sessions (key7) WHERE key7 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key8 ON sojourn_sessions (key8) WHERE key8 IS NOT NULL;

CREATE INDEX IF NOT EXISTS sojourn_sessions_key9 ON sojourn_sessions (key9) WHERE key9 IS NOT NULL;

CREATE TABLE IF NOT EXISTS sojourn_sessions_schema (version INTEGER NOT NULL PRIMARY KEY);

INSERT INTO sojourn_sessions_schema (version) VALUES (1) ON CONFLICT (version) DO NOTHING;
