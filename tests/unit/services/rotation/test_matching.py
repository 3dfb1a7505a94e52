"""What is followed of a target, while its rotator is read anew."""

from typing import Any, cast

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import RotationSpec, RotatorRef, Strategy
from keyturn.domain.rotator import AdminKind, AdminRef, RotatorSettings
from keyturn.domain.secret import SecretName
from keyturn.kube.following import FollowedObject
from keyturn.kube.rotators import followed
from keyturn.rotators.interface import Rotator, Traits
from keyturn.services.rotation.aiming import Aiming
from keyturn.services.rotation.matching import Known, Matching
from keyturn.services.rotation.roles import Roles

NAME = SecretName("shop", "db")
REF = RotatorRef("Rotator", "pg")
ROTATION = RotationSpec(strategy=Strategy.SINGLE_USER, rotator=REF)
ADMIN = FollowedObject("secrets", "shop", "pg-admin")


class GivenAim(Aiming):
    """A rotator with an admin credential, as the cluster would tell it."""

    def __init__(self) -> None:
        nothing = cast("Any", None)
        super().__init__(nothing, nothing, nothing, nothing, None)

    async def settings(self, name: SecretName, ref: RotatorRef) -> RotatorSettings:
        return RotatorSettings(
            ref=ref,
            uid="uid-of-rotator",
            type="postgresql",
            parameters={},
            author_checked=True,
            admin=AdminRef(AdminKind.NATIVE, "shop", ADMIN.name),
        )

    def match(self, *_: object) -> tuple[Rotator, Traits, Roles]:
        return cast("Any", None), cast("Any", None), Roles()


async def test_what_is_followed_of_a_target_is_never_let_go_while_it_is_read_anew() -> None:
    # A watch that begins anew tells all of its followers; each of them would read anew, for ever.
    told: list[frozenset[FollowedObject]] = []
    aiming, known = GivenAim(), Known()
    matching = Matching(aiming, lambda _, objects: told.append(objects))
    resource = ManagedSecret(NAME, "uid", cast("Any", None), generation=1)

    await matching.match(resource, ROTATION, known)
    del told[:]
    known.is_urgent = True
    await matching.match(resource, ROTATION, known)

    whole = followed(NAME, REF, await aiming.settings(NAME, REF))
    assert ADMIN in whole
    assert set(told) == {whole}
