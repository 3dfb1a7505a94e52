"""Our errors as HTTP answers, and back: the CLI raises what the operator raised."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from keyturn.domain import errors

Json = dict[str, Any]

STATUS: Mapping[type[errors.KeyturnError], HTTPStatus] = {
    errors.KeyturnError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidError: HTTPStatus.BAD_REQUEST,
    errors.InvalidSpecError: HTTPStatus.BAD_REQUEST,
    errors.InvalidTemplateError: HTTPStatus.BAD_REQUEST,
    errors.InvalidParameterError: HTTPStatus.BAD_REQUEST,
    errors.ValueTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.SecretNotFoundError: HTTPStatus.NOT_FOUND,
    errors.VersionNotFoundError: HTTPStatus.NOT_FOUND,
    errors.SourceNotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.RaceError: HTTPStatus.CONFLICT,
    errors.StageMovedError: HTTPStatus.CONFLICT,
    errors.SecretDeletedError: HTTPStatus.CONFLICT,
    errors.TargetOwnedByOtherError: HTTPStatus.CONFLICT,
    errors.StoreRollbackError: HTTPStatus.CONFLICT,
    errors.RetireBlockedByConsumersError: HTTPStatus.CONFLICT,
    errors.SecretLeftBehindError: HTTPStatus.CONFLICT,
    errors.LeadershipLostError: HTTPStatus.CONFLICT,
    errors.AwaitingInputError: HTTPStatus.CONFLICT,
    errors.RotationPendingError: HTTPStatus.CONFLICT,
    errors.DeniedError: HTTPStatus.FORBIDDEN,
    errors.TargetRefusedError: HTTPStatus.FORBIDDEN,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFullError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageReadOnlyError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreStoppedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.KeyProviderUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ClusterUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TargetUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TargetLockedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IntegrityError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DecryptionFailedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.TamperedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.MisplacedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.WrongKeyError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UnknownFormatError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.KeyMissingError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ForeignStoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StoreInUseError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StoreFormatError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StoreCorruptError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

UNEXPECTED = errors.KeyturnError("the operator failed unexpectedly; its log names the place")
"""All that is told of an exception that nobody foresaw."""

_CODES: Mapping[type, str] = {kind: kind.code for kind in STATUS}
_BY_CODE = {kind.code: kind for kind in STATUS}


def to_answer(error: errors.KeyturnError) -> tuple[HTTPStatus, Json]:
    """Translate an error into a status and the body of an answer.

    An error that a mechanism made more special goes by the nearest one of the table.
    """
    kind = next(known for known in type(error).__mro__ if known in STATUS)
    return STATUS[kind], {"code": _CODES[kind], "message": error.message}


def from_answer(body: object) -> errors.KeyturnError:
    """Make the error again whose answer this is; a code that is not known is no special error."""
    told = body if isinstance(body, dict) else {}
    kind = _BY_CODE.get(str(told.get("code")), errors.KeyturnError)
    return kind(str(told.get("message") or UNEXPECTED))
