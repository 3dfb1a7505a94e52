"""Whom a secret rotates, told by keyed digests: of its rotator, and of the user in its target."""

from typing import NamedTuple

from keyturn.domain.rotation import NO_ROTATOR, RotationState
from keyturn.services.next_version import Fingerprint
from keyturn.services.rotation.aiming import Aim


class Identity(NamedTuple):
    """Keyed digests of whom is rotated; `base` is of both, empty where there is no user name.

    The target is told by the name of its rotator, as one that was deleted and made again rotates
    the same users. `base_user` is of the name alone, so that it is known again when another rotator
    is named.
    """

    base: str
    rotator: str
    base_user: str


class Identities:
    """Tells the base of two alternating users, and whether a target is the one of before."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint

    def identity(self, base_username: str, aim: Aim) -> Identity:
        """Make the digests of a user of a target."""
        ref: tuple[str, ...] = ()
        if aim.settings is not None:
            ref = (aim.settings.ref.kind, aim.namespace, aim.settings.ref.name)
        has_user = bool(base_username and ref)
        return Identity(
            base=self._digest("rotated user", *ref, base_username) if has_user else "",
            rotator=self._digest("rotated by", *ref) if ref else NO_ROTATOR,
            base_user=self._digest("base user", base_username),
        )

    def base_of(self, username: str, state: RotationState | None, aim: Aim) -> str:
        """Tell the base of two alternating users from either of them."""
        base = username.removesuffix(aim.traits.clone_suffix)
        if base == username or state is None:
            return username
        identity = self.identity(base, aim)
        is_known = (
            identity.base_user == state.base_user
            if state.base_user
            else identity.base == state.base
        )
        return base if is_known else username

    def is_another(self, base_username: str, state: RotationState | None, aim: Aim) -> bool:
        """Tell whether the rotator or the user that is named now is another one than before.

        An admin credential must not change the user of whoever only names it, nor a second target
        be half of a rotation.
        """
        identity = self.identity(base_username, aim)
        if state is None:
            return bool(identity.base)
        if not state.rotator:
            return identity.base != state.base
        return (identity.rotator, identity.base_user) != (state.rotator, state.base_user)

    def _digest(self, purpose: str, *parts: str) -> str:
        return self._fingerprint(purpose, *(part.encode() for part in parts))
