"""What can go wrong, by what the caller should do about it.

::

    KeyturnError
    ├── InvalidError              the request is wrong: fix it
    │   ├── InvalidSpecError
    │   ├── InvalidTemplateError
    │   ├── InvalidParameterError
    │   └── ValueTooLargeError
    ├── NotFoundError             nothing is there
    │   ├── SecretNotFoundError
    │   ├── VersionNotFoundError
    │   └── SourceNotFoundError
    ├── ConflictError             somebody was first: read again
    │   ├── RaceError             the same again, at once
    │   │   └── StageMovedError
    │   ├── SecretDeletedError
    │   ├── TargetOwnedByOtherError
    │   ├── StoreRollbackError
    │   ├── RetireBlockedByConsumersError
    │   ├── SecretLeftBehindError
    │   └── LeadershipLostError
    ├── AwaitingInputError        a person has to give a value first
    ├── RotationPendingError      the target has to take a value first
    ├── DeniedError               not allowed
    │   └── TargetRefusedError
    ├── UnavailableError          try again later
    │   ├── StoreUnavailableError
    │   │   ├── StorageFullError
    │   │   ├── StorageReadOnlyError
    │   │   └── StoreStoppedError
    │   ├── KeyProviderUnavailableError
    │   ├── ClusterUnavailableError
    │   └── TargetUnavailableError
    │       └── TargetLockedError
    └── IntegrityError            stop and call a person
        ├── DecryptionFailedError
        │   ├── TamperedError
        │   ├── MisplacedError
        │   ├── WrongKeyError
        │   └── UnknownFormatError
        ├── KeyMissingError
        ├── ForeignStoreError
        ├── StoreInUseError
        ├── StoreFormatError
        └── StoreCorruptError

Only an `UnavailableError` is ever retried. No message holds plaintext, so every message may be
logged and shown in a condition.
"""

from typing import ClassVar


class KeyturnError(Exception):
    """Something went wrong that this code foresaw; `code` is stable, for machines."""

    code: ClassVar[str] = "Error"

    @property
    def message(self) -> str:
        return str(self)


class InvalidError(KeyturnError):
    """The request is wrong; repeating it does not help."""

    code = "Invalid"


class InvalidSpecError(InvalidError):
    """A ManagedSecret says something that cannot be done."""

    code = "InvalidSpec"


class InvalidTemplateError(InvalidError):
    """A template is not one of the allowed expressions, or names a key that is not there."""

    code = "InvalidTemplate"


class InvalidParameterError(InvalidError):
    """A generator or a command was given a parameter outside its bounds."""

    code = "InvalidParameter"


class ValueTooLargeError(InvalidError):
    """A payload is larger than the limit."""

    code = "ValueTooLarge"


class NotFoundError(KeyturnError):
    """What was asked for does not exist."""

    code = "NotFound"


class SecretNotFoundError(NotFoundError):
    """The store holds no secret of that name."""

    code = "SecretNotFound"


class VersionNotFoundError(NotFoundError):
    """The secret has no version of that number or stage."""

    code = "VersionNotFound"


class SourceNotFoundError(NotFoundError):
    """A `valueFrom` names an object or a key that does not exist."""

    code = "SourceNotFound"


class ConflictError(KeyturnError):
    """Somebody else was first; read again, then decide again."""

    code = "Conflict"


class RaceError(ConflictError):
    """What was read has changed before it could be acted on: read again, and do the same."""

    code = "Race"


class StageMovedError(RaceError):
    """The versions of the secret changed since they were read."""

    code = "StageMoved"


class SecretDeletedError(ConflictError):
    """The secret is deleted and waits for the end of its recovery window."""

    code = "SecretDeleted"


class TargetOwnedByOtherError(ConflictError):
    """The native Secret, or a key of it, belongs to somebody else."""

    code = "TargetOwnedByOther"


class StoreRollbackError(ConflictError):
    """The cluster has seen a newer version than the store holds: an old store was restored."""

    code = "StoreRollback"


class RetireBlockedByConsumersError(ConflictError):
    """The previous credential cannot end yet: consumers would be locked out."""

    code = "RetireBlockedByConsumers"


class SecretLeftBehindError(ConflictError):
    """A native Secret cannot be written, and would keep a credential that is replaced."""

    code = "SecretLeftBehind"


class LeadershipLostError(ConflictError):
    """Another operator has taken over the store's epoch; this one must stop."""

    code = "LeadershipLost"


class AwaitingInputError(KeyturnError):
    """A key with the source `input` has no value yet."""

    code = "AwaitingInput"


class RotationPendingError(KeyturnError):
    """The first credential is not accepted by its target system yet."""

    code = "RotationPending"


class DeniedError(KeyturnError):
    """The caller, or the author of a resource, may not do that."""

    code = "Denied"


class TargetRefusedError(DeniedError):
    """The target system of a rotation refused what was asked of it."""

    code = "TargetRefused"


class UnavailableError(KeyturnError):
    """A part that is needed does not answer; the same call may work later."""

    code = "Unavailable"


class StoreUnavailableError(UnavailableError):
    """The store cannot be read or written now."""

    code = "StoreUnavailable"


class StorageFullError(StoreUnavailableError):
    """The disk of the store is full."""

    code = "StorageFull"


class StorageReadOnlyError(StoreUnavailableError):
    """The disk of the store is mounted read-only."""

    code = "StorageReadOnly"


class StoreStoppedError(StoreUnavailableError):
    """The store writes nothing more after a failed fsync; only a new process may try again."""

    code = "StoreStopped"


class KeyProviderUnavailableError(UnavailableError):
    """The key provider does not answer."""

    code = "KMSUnavailable"


class ClusterUnavailableError(UnavailableError):
    """The apiserver does not answer, or refuses for now."""

    code = "ClusterUnavailable"


class TargetUnavailableError(UnavailableError):
    """The target system of a rotation does not answer, or not as one that can be trusted."""

    code = "TargetUnavailable"


class TargetLockedError(TargetUnavailableError):
    """Another session holds the lock of the credential in the target system."""

    code = "TargetLocked"


class IntegrityError(KeyturnError):
    """Data is not what was written; nothing is done until a person has looked."""

    code = "Integrity"


class DecryptionFailedError(IntegrityError):
    """A version cannot be decrypted."""

    code = "DecryptFailed"


class TamperedError(DecryptionFailedError):
    """The bytes of a version were changed."""

    code = "Tampered"


class MisplacedError(DecryptionFailedError):
    """The bytes are whole but belong to another secret, version or store."""

    code = "Misplaced"


class WrongKeyError(DecryptionFailedError):
    """The key provider does not hold the key that the version names."""

    code = "WrongKey"


class UnknownFormatError(DecryptionFailedError):
    """The version was written in a format that this release does not read."""

    code = "UnknownFormat"


class KeyMissingError(IntegrityError):
    """The store holds data, but its key encryption key is gone."""

    code = "KeyMissing"


class ForeignStoreError(IntegrityError):
    """The store belongs to another cluster."""

    code = "ForeignStore"


class StoreInUseError(IntegrityError):
    """Another process has the store open."""

    code = "StoreInUse"


class StoreFormatError(IntegrityError):
    """The file is not a store, or was written by a release that this one does not know."""

    code = "StoreFormat"


class StoreCorruptError(IntegrityError):
    """The store's own integrity check failed."""

    code = "StoreCorrupt"
