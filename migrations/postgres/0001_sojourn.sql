-- The tables of `createSqlStore` (sojourn/sql), version 1. Every statement can be repeated.
CREATE TABLE IF NOT EXISTS sojourn_sessions (
  id text COLLATE "C" NOT NULL PRIMARY KEY,
  -- The version of the write that made the record.
  version text COLLATE "C" NOT NULL,
  epoch text COLLATE "C" NOT NULL,
  -- A sealed text. Empty: the id is marked as ended until it expires.
  value text NOT NULL,
  -- Sealed texts appended since that write, with a space before each, and their number.
  entries text NOT NULL,
  entry_count integer NOT NULL,
  -- Epoch milliseconds.
  expires_at bigint NOT NULL,
  -- Seconds for which the end of the session marks its id, where that is longer than usual.
  mark_for bigint,
  -- Opaque index keys, the user's first.
  key1 text COLLATE "C",
  key2 text COLLATE "C",
  key3 text COLLATE "C",
  key4 text COLLATE "C",
  key5 text COLLATE "C",
  key6 text COLLATE "C",
  key7 text COLLATE "C",
  key8 text COLLATE "C",
  key9 text COLLATE "C"
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

CREATE TABLE IF NOT EXISTS sojourn_sessions_schema (version integer NOT NULL PRIMARY KEY);

INSERT INTO sojourn_sessions_schema (version) VALUES (1) ON CONFLICT (version) DO NOTHING;
