-- The tables of `createSqlStore` (sojourn/sql), version 1. Every statement can be repeated.
CREATE TABLE IF NOT EXISTS sojourn_sessions (
  id VARCHAR(128) NOT NULL PRIMARY KEY,
  -- The version of the write that made the record.
  version VARCHAR(64) NOT NULL,
  epoch VARCHAR(64) NOT NULL,
  -- A sealed text. Empty: the id is marked as ended until it expires.
  value MEDIUMTEXT NOT NULL,
  -- Sealed texts appended since that write, with a space before each, and their number.
  entries MEDIUMTEXT NOT NULL,
  entry_count INT NOT NULL,
  -- Epoch milliseconds.
  expires_at BIGINT NOT NULL,
  -- Seconds for which the end of the session marks its id, where that is longer than usual.
  mark_for BIGINT,
  -- Opaque index keys, the user's first.
  key1 VARCHAR(128),
  key2 VARCHAR(128),
  key3 VARCHAR(128),
  key4 VARCHAR(128),
  key5 VARCHAR(128),
  key6 VARCHAR(128),
  key7 VARCHAR(128),
  key8 VARCHAR(128),
  key9 VARCHAR(128),
  KEY sojourn_sessions_expires_at (expires_at),
  KEY sojourn_sessions_key1 (key1),
  KEY sojourn_sessions_key2 (key2),
  KEY sojourn_sessions_key3 (key3),
  KEY sojourn_sessions_key4 (key4),
  KEY sojourn_sessions_key5 (key5),
  KEY sojourn_sessions_key6 (key6),
  KEY sojourn_sessions_key7 (key7),
  KEY sojourn_sessions_key8 (key8),
  KEY sojourn_sessions_key9 (key9)
) ENGINE = InnoDB CHARACTER SET ascii COLLATE ascii_bin;

CREATE TABLE IF NOT EXISTS sojourn_sessions_schema (version INT NOT NULL PRIMARY KEY) ENGINE = InnoDB CHARACTER SET ascii COLLATE ascii_bin;

INSERT IGNORE INTO sojourn_sessions_schema (version) VALUES (1);
