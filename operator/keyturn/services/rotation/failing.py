"""What keeps a rotation from going on, or a retirement from being done, outside of its journal."""

from keyturn.domain.errors import InvalidSpecError, KeyturnError, TargetUnavailableError
from keyturn.domain.rotation import Failure, Step
from keyturn.domain.secret import SecretName


class RetirementFailedError(TargetUnavailableError):
    """The previous credential could not be ended in the target; it is tried again."""

    code = "RetirementFailed"

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class AnotherTargetError(InvalidSpecError):
    """The rotation that is open is not to go on in the target that is named now."""

    def __init__(self, name: SecretName, number: int) -> None:
        super().__init__(
            f"the rotation to version {number} began with another rotator or user: put "
            "spec.rotation back as it was until it is over; or give it up, which asks only that "
            "the target named now takes the current credential: "
            f"keyturn rotate {name.name} -n {name.namespace} --cancel"
        )


class FormerTargetError(RetirementFailedError):
    """The previous credential is not to be ended in the target that is named now."""

    def __init__(self, number: int) -> None:
        told = (
            f"version {number} was rotated with another rotator or user: name that one in "
            "spec.rotation until it is retired; or rotate, and end it there yourself"
        )
        super().__init__(Failure(Step.RETIRE, InvalidSpecError.code, told))


def failure_of(error: KeyturnError, step: Step) -> Failure:
    """Say of an error that it kept a rotation from going on with a step, or a retirement."""
    if isinstance(error, RetirementFailedError):
        return error.failure
    return Failure(step, error.code, error.message)
