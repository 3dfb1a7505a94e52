-- The store as it begins. Times are microseconds since 1970 in UTC; ids are the 16 bytes of a UUID;
-- `sealed`, `sealed_root` and `sealed_manifest` are ciphertext.

PRAGMA application_id = 0x4b54524e;  -- 'KTRN'

-- What the store says of itself: one row.
CREATE TABLE store (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    store_id    BLOB NOT NULL CHECK (length(store_id) = 16),
    cluster_uid TEXT NOT NULL,
    sealed_root BLOB NOT NULL,
    checks      INTEGER NOT NULL
) STRICT;

-- The identity is (namespace_uid, name): a namespace made anew inherits nothing.
CREATE TABLE secrets (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    namespace_uid   TEXT NOT NULL,
    namespace       TEXT NOT NULL,
    name            TEXT NOT NULL,
    resource_uid    TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    reclaim_policy  TEXT NOT NULL,
    recovery_window INTEGER NOT NULL,
    deleted_at      INTEGER,
    purge_after     INTEGER CHECK (purge_after IS NULL OR deleted_at IS NOT NULL),
    sealed_manifest BLOB NOT NULL,
    UNIQUE (namespace_uid, name)
) STRICT;

CREATE INDEX secrets_by_name ON secrets (namespace, name, id);
CREATE INDEX secrets_by_purge ON secrets (purge_after) WHERE purge_after IS NOT NULL;

-- The ciphertext is the last column: metadata are read without it.
CREATE TABLE versions (
    secret_id  BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL CHECK (number > 0),
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    created_at INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    origins    TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (secret_id, number)
) STRICT;

-- A stage is on one version and a version holds one stage; the reference to the version has no
-- cascade, so that a version with a stage cannot be destroyed by mistake.
CREATE TABLE stages (
    secret_id BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    stage     TEXT NOT NULL,
    number    INTEGER NOT NULL,
    PRIMARY KEY (secret_id, stage),
    UNIQUE (secret_id, number),
    FOREIGN KEY (secret_id, number) REFERENCES versions (secret_id, number)
) STRICT, WITHOUT ROWID;

-- An empty key claims the whole native Secret.
CREATE TABLE claims (
    namespace_uid TEXT NOT NULL,
    native_name   TEXT NOT NULL,
    key           TEXT NOT NULL,
    secret_id     BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    PRIMARY KEY (namespace_uid, native_name, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_by_secret ON claims (secret_id);

CREATE TABLE projections (
    secret_id        BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    native_name      TEXT NOT NULL,
    uid              TEXT NOT NULL,
    resource_version TEXT NOT NULL,
    version          INTEGER NOT NULL,
    rendered_from    TEXT NOT NULL,
    fingerprint      TEXT NOT NULL,
    owned            INTEGER NOT NULL,
    keys             TEXT NOT NULL,
    PRIMARY KEY (secret_id, native_name)
) STRICT, WITHOUT ROWID;
