"""The whole story on a real node: from `helm install` to the re-install, and no login fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.operating import eventually
from node.releases import POD, Site
from node.shop import NAME, SECRET, USER, Shop, a_shop

MANY = 300
"""So many logins are made at least, by pods of each version: ten in a second by each pod."""


@pytest.fixture
def shop(site: Site, tmp_path: Path) -> Iterator[Shop]:
    with a_shop(site.control_plane, tmp_path / "shop") as shop:
        yield shop


def rotate(site: Site, shop: Shop) -> None:
    """Rotate as a person does, and wait until all pods were restarted for it."""
    wanted = shop.version + 1
    site.keyturn("rotate", SECRET, "--namespace", NAME)
    shop.wait_until_moved(wanted)


def rotate_while_the_operator_dies(site: Site, shop: Shop) -> None:
    """Kill the operator's pod while the database has the statement and no answer was given."""
    wanted, killed = shop.version + 1, site.pod_uid
    with shop.stalled() as connection:
        shop.pods.kubectl("annotate", "managedsecret", SECRET, "keyturn.dev/rotate=by-hand")
        eventually(lambda: shop.is_stalling(connection), what="the rotation is in the database")
        now = ("--grace-period=0", "--force")
        site.home.kubectl("delete", "pod", POD, *now)
    eventually(lambda: site.home.is_ready(POD), within=180, what="it is back")
    assert site.pod_uid != killed
    shop.wait_until_moved(wanted)


def test_nobody_is_locked_out_and_nothing_is_lost(site: Site, shop: Shop) -> None:
    site.run("install")
    shop.open()
    assert shop.version == 1

    rotate(site, shop)
    rotate_while_the_operator_dies(site, shop)
    site.run("upgrade", workers=3)
    rotate(site, shop)
    assert shop.version == 4

    # Else it would be between the two looks at the history.
    shop.wait_until_retired()
    value, history = shop.secret, site.keyturn("history", SECRET, "--namespace", NAME)
    site.uninstall()
    assert shop.secret == value

    # Only the store knows the value now.
    shop.pods.kubectl("delete", "secret", SECRET)
    site.run("install")
    eventually(lambda: shop.secret == value, within=180, what="the value is back")
    assert site.keyturn("history", SECRET, "--namespace", NAME) == history
    shop.pods.kubectl("rollout", "restart", "deployment/web")
    shop.pods.kubectl("rollout", "status", "deployment/web", "--timeout=180s")

    succeeded, failed, users = shop.logins()
    assert failed == []
    assert succeeded > MANY
    assert users == {USER, f"{USER}_clone"}
