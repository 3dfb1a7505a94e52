from visited import Visited


def visited() -> Visited[tuple[str, int, int]]:
    return Visited(("a", 1, 1), counts=2, limit=100)


def test_each_is_visited_once_also_what_is_added_meanwhile() -> None:
    seen = visited()
    order = []

    for state in seen:
        order.append(state)
        seen.add(("b", 0, 0))

    assert order == [("a", 1, 1), ("b", 0, 0)]
    assert len(seen) == 2


def test_one_that_is_covered_is_left_out() -> None:
    seen = visited()

    for counts in ((1, 1), (1, 0), (0, 1), (0, 0)):
        seen.add(("a", *counts))

    assert list(seen) == [("a", 1, 1)]


def test_one_that_has_more_of_any_count_is_visited() -> None:
    seen = visited()

    for counts in ((2, 0), (0, 2), (2, 2), (2, 1)):
        seen.add(("a", *counts))

    assert list(seen) == [("a", 1, 1), ("a", 2, 0), ("a", 0, 2), ("a", 2, 2)]
