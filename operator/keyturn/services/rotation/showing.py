"""What a rotation waits for in the native Secrets: that none keeps a credential which it ends."""

from keyturn.domain.errors import ConflictError, KeyturnError, SecretLeftBehindError
from keyturn.domain.managed_secret import CreationPolicy, ManagedSecret
from keyturn.domain.rotation import Failure, RotationSpec, Step
from keyturn.domain.secret import Secret
from keyturn.services.rotation.matching import Known
from keyturn.services.rotation.pending import Wanted


def needs_secrets(rotation: RotationSpec, wanted: Wanted | None) -> bool:
    """Tell whether a rotation begins only while every native Secret follows the secret.

    Without a target the old values stay valid. What goes back, or changes only what stands beside
    the credential, may be just what a native Secret lacks.
    """
    return wanted is not None and wanted.cause.renews and rotation.rotator is not None


def left_behind_by(error: KeyturnError) -> Failure:
    """Say what keeps a rotation from beginning where a native Secret cannot be written."""
    return Failure(
        Step.CREATE_PENDING,
        error.code,
        f"no rotation begins while a Secret would keep the old credential: {error.message}",
    )


def require_shown(resource: ManagedSecret, secret: Secret, known: Known) -> None:
    """Refuse a person's rotation as `left_behind_by` says, by what was found last.

    Raises:
        SecretLeftBehindError: a native Secret would keep the old credential.
        ConflictError: nobody has looked yet.
    """
    if known.left_behind is not None:
        name = resource.name
        raise SecretLeftBehindError(
            f"{known.left_behind.message}; or lock out who reads it by: "
            f"keyturn rotate {name.name} -n {name.namespace} --force"
        )
    if not known.is_shown and not _is_recorded(resource, secret):
        raise ConflictError(f"the Secrets of {resource.name} are not looked at yet; wait a moment")


def _is_recorded(resource: ManagedSecret, secret: Secret) -> bool:
    """Tell whether the store remembers that every native Secret was written as it should be."""
    records = [
        secret.projection(target.name)
        for target in resource.effective_targets
        if target.creation_policy is not CreationPolicy.NONE
    ]
    return all(record and record.version == secret.stages.current for record in records)
