-- Spells: from when each native Secret showed which version. One lasts until the next of the same
-- native Secret; no version: from then on the native Secret was not ours.

CREATE TABLE spells (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    secret_id   BLOB NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    native_name TEXT NOT NULL,
    version     INTEGER CHECK (version > 0),
    since       INTEGER NOT NULL
) STRICT;

CREATE INDEX spells_by_native ON spells (secret_id, native_name, sequence);

-- When these were written nobody noted: not later than now.
INSERT INTO spells (secret_id, native_name, version, since)
SELECT secret_id, native_name, version, CAST(unixepoch('subsec') * 1000000 AS INTEGER)
FROM projections WHERE version > 0;
