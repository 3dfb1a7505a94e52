-- Which versions have one credential, and where the credential of a secret was rotated last.

-- The first version that had the same credential; NULL: the version's own, or nobody knows.
ALTER TABLE versions ADD COLUMN credential INTEGER;

-- Keyed digests: of the rotator's name, and of the base user's name alone. Empty: of before there
-- were any; then `base`, which is made of both, has to tell.
ALTER TABLE rotation_states ADD COLUMN rotator TEXT NOT NULL DEFAULT '';
ALTER TABLE rotation_states ADD COLUMN base_user TEXT NOT NULL DEFAULT '';

-- Up to this version another rotator was named, in whose target its credentials may be valid.
ALTER TABLE rotation_states ADD COLUMN left_behind INTEGER;
