-- Whom a secret rotated when its last rotation began: that one puts it back if it is dropped.
CREATE TABLE former_identities (
    secret_id   BLOB PRIMARY KEY NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    base        TEXT NOT NULL,
    rotator     TEXT NOT NULL,
    base_user   TEXT NOT NULL,
    left_behind INTEGER,
    -- What it held in rotated_identities; NULL: nothing.
    identity    TEXT
) STRICT, WITHOUT ROWID;
