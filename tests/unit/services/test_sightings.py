import pytest

from keyturn.domain.secret import SecretName
from keyturn.services.sightings import Seen, Sightings

PLACE = ("shop", "db")


def seen(version: int, uid: str = "u", *, present: bool = True) -> Seen:
    return Seen(uid, version, present)


def test_an_older_sighting_is_no_news() -> None:
    sightings = Sightings()
    sightings.observe(PLACE, seen(5))

    assert not sightings.observe(PLACE, seen(4))
    assert sightings.is_as_written(PLACE, "u", "5")


def test_a_change_by_somebody_else_is_news() -> None:
    sightings = Sightings()
    sightings.observe(PLACE, seen(5))

    assert sightings.observe(PLACE, seen(6))
    assert not sightings.is_as_written(PLACE, "u", "5")


def test_our_own_write_is_no_news_when_it_is_seen_before_its_answer() -> None:
    sightings = Sightings()
    sightings.begin(PLACE)

    assert not sightings.observe(PLACE, seen(5))
    assert not sightings.settle(PLACE, seen(5))


def test_our_own_write_is_no_news_when_it_is_seen_after_its_answer() -> None:
    sightings = Sightings()
    sightings.begin(PLACE)
    sightings.settle(PLACE, seen(5))

    assert not sightings.observe(PLACE, seen(5))


def test_drift_on_top_of_our_write_is_told_when_the_answer_comes() -> None:
    sightings = Sightings()
    sightings.begin(PLACE)
    sightings.observe(PLACE, seen(5))
    sightings.observe(PLACE, seen(6))

    assert sightings.settle(PLACE, seen(5))


def test_what_was_seen_during_a_failed_write_is_told() -> None:
    sightings = Sightings()
    sightings.begin(PLACE)
    sightings.observe(PLACE, seen(5))

    assert sightings.settle(PLACE, None)


def test_a_complete_list_tells_what_is_gone() -> None:
    sightings = Sightings()
    sightings.observe(PLACE, seen(5))

    assert sightings.relist([], 9, None) == {PLACE}
    assert not sightings.is_as_written(PLACE, "u", "5")


def test_what_was_written_after_the_list_is_not_gone() -> None:
    sightings = Sightings()
    sightings.observe(PLACE, seen(12))

    assert sightings.relist([], 9, None) == set()


def test_the_list_of_a_namespace_says_nothing_of_another() -> None:
    sightings = Sightings()
    sightings.observe(PLACE, seen(5))

    assert sightings.relist([], 9, "other") == set()


def test_a_secret_is_projected_by_whoever_is_assigned_to_it() -> None:
    sightings = Sightings()
    one, two = SecretName("shop", "one"), SecretName("shop", "two")
    sightings.assign(one, ["db"])
    sightings.assign(two, ["db", "other"])

    sightings.assign(one, [])

    assert sightings.projectors(PLACE) == {two}


@pytest.mark.parametrize("by_list", [True, False], ids=["by a list", "by an event"])
def test_nothing_is_kept_of_what_is_gone_and_projected_by_nobody(by_list: bool) -> None:
    sightings = Sightings()
    one = SecretName("shop", "one")
    sightings.assign(one, ["db"])
    sightings.observe(PLACE, seen(5))
    sightings.assign(one, [])
    sightings.observe(PLACE, seen(6))

    if by_list:
        sightings.relist([], 9, None)
    else:
        sightings.observe(PLACE, seen(9, present=False))

    assert sightings._seen == {}


def test_it_is_kept_in_mind_that_a_projected_secret_is_gone() -> None:
    sightings = Sightings()
    sightings.assign(SecretName("shop", "one"), ["db"])
    sightings.observe(PLACE, seen(5))

    sightings.observe(PLACE, seen(9, present=False))

    assert not sightings.observe(PLACE, seen(5))
