-- Rotations: the epoch of the operator that may write them, the journal, and what is to be told.

ALTER TABLE store ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

-- One row for each rotation; `outcome` is set when it is over. Its pending version is `number`.
CREATE TABLE rotations (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    secret_id    BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    step         TEXT NOT NULL,
    cause        TEXT NOT NULL,
    began_at     INTEGER NOT NULL,
    requested_by TEXT NOT NULL,
    token        TEXT NOT NULL,
    failures     INTEGER NOT NULL,
    failed_step  TEXT,
    failed_code  TEXT,
    failed_text  TEXT,
    retry_at     INTEGER,
    give_up      TEXT NOT NULL,
    outcome      TEXT,
    ended_at     INTEGER CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX rotations_by_secret ON rotations (secret_id, sequence);
-- One pending value for each secret: a second rotation cannot begin while one is open.
CREATE UNIQUE INDEX open_rotation ON rotations (secret_id) WHERE outcome IS NULL;

CREATE TABLE rotation_states (
    secret_id     BLOB PRIMARY KEY NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    anchor        INTEGER NOT NULL,
    handled_token TEXT NOT NULL,
    base          TEXT NOT NULL,
    retire_at     INTEGER
) STRICT;

-- Who rotates what: two secrets that changed the password of one user would lock each other out.
CREATE TABLE rotated_identities (
    identity  TEXT PRIMARY KEY NOT NULL,
    secret_id BLOB NOT NULL UNIQUE REFERENCES secrets (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What is still to be delivered, once for each channel; a row goes when it was delivered.
CREATE TABLE outbox (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    channel    TEXT NOT NULL,
    document   TEXT NOT NULL,
    UNIQUE (id, channel)
) STRICT;

CREATE INDEX outbox_by_channel ON outbox (channel, sequence);
