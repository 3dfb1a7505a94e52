"""Native Secrets without the right to read any: the mode `caged`.

The answer to a patch is the Secret, also to an empty one that is a dry run and changes nothing. The
policy keyturn-cage refuses each patch of a Secret that is not the operator's own before it is
answered. So what is read by such a patch is what the operator wrote itself, and no more, whoever
has its token: no right to get, list or watch Secrets is needed, and none helps.
"""

from keyturn.domain.errors import DeniedError, TargetOwnedByOtherError
from keyturn.kube.client import MERGE_PATCH, Json, query
from keyturn.kube.errors import POLICY_MARK
from keyturn.kube.job_bodies import MANAGED
from keyturn.kube.native_secrets import NativeSecrets, path_to
from keyturn.kube.sources import ALLOW

_IDENTITY = "keyturn.dev/secret-id"
_NOBODY = "00000000-0000-0000-0000-000000000000"
_CAGE = "keyturn-cage"

_AS_OURS: Json = {"metadata": {"labels": {MANAGED: "true", _IDENTITY: _NOBODY}}}
"""The labels that the policy wants to stand on what we write after the write.

With them it lets through what we made and somebody took the labels off, and what its owner
consented to have taken over.
"""


class CagedNativeSecrets(NativeSecrets):
    """The native Secrets that are ours, or that their owners let us have."""

    async def get(self, namespace: str, name: str) -> Json:
        """Read one of ours with its data, by a patch that changes nothing.

        Raises:
            ObjectNotFoundError: there is none of that name.
            TargetOwnedByOtherError: it is somebody else's.
            DeniedError: a right is missing, or another policy refuses it; whose it is nobody knows.
        """
        try:
            return await self._seen_by(namespace, name, {})
        except DeniedError as error:
            _require_policy(error)
        try:
            found = await self._seen_by(namespace, name, _AS_OURS)
        except DeniedError as error:
            _require_policy(error)
            raise TargetOwnedByOtherError(
                f"the Secret {name} exists already and is somebody else's, which the operator does "
                "not read in the mode caged; write another name in spec.targets, or let its owner "
                f"run: kubectl annotate secret -n {namespace} {name} {ALLOW}=<the ManagedSecret>"
            ) from None
        labels = found["metadata"]["labels"]
        # They were never there; only the answer to a dry run has them.
        del labels[MANAGED], labels[_IDENTITY]
        return found

    async def _seen_by(self, namespace: str, name: str, patch: Json) -> Json:
        path = path_to(namespace, name) + query(dryRun="All", fieldManager="keyturn")
        return await self._kube.request("PATCH", path, body=patch, content_type=MERGE_PATCH)


def _require_policy(error: DeniedError) -> None:
    """Raise the error again unless it is the cage that refused: that alone tells whose it is."""
    if POLICY_MARK not in error.message or _CAGE not in error.message:
        raise error
