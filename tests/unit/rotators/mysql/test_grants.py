"""Grants are read by their tokens; the lines are those that servers write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.mysql.grants import Privilege, granting, read, revoking


def of(*lines: str) -> set[Privilege]:
    return set(read(lines, "o", "%"))


def test_privileges_and_columns_are_taken_one_by_one() -> None:
    assert of(
        "GRANT SELECT (`b TO`, `a, b`), INSERT (`a`), UPDATE ON `a TO b`.`t ON x` TO `o`@`%`"
    ) == {
        Privilege("SELECT (`b TO`)", "`a TO b`.`t ON x`"),
        Privilege("SELECT (`a, b`)", "`a TO b`.`t ON x`"),
        Privilege("INSERT (`a`)", "`a TO b`.`t ON x`"),
        Privilege("UPDATE", "`a TO b`.`t ON x`"),
    }


def test_the_password_and_the_limits_of_mariadb_are_no_privileges() -> None:
    line = (
        "GRANT PROCESS, BINLOG MONITOR ON *.* TO `o`@`%` IDENTIFIED BY PASSWORD '*D8' "
        "REQUIRE SSL WITH MAX_USER_CONNECTIONS 7"
    )

    assert of(line) == {Privilege("PROCESS", "*.*"), Privilege("BINLOG MONITOR", "*.*")}


def test_the_right_to_pass_on_is_a_right_of_its_own() -> None:
    found = of("GRANT USAGE ON *.* TO `o`@`%` REQUIRE SSL WITH GRANT OPTION MAX_QUERIES_PER_HOUR 3")

    assert found == {Privilege("GRANT OPTION", "*.*")}
    (privilege,) = found
    assert privilege.granted_to("x") == "GRANT USAGE ON *.* TO x WITH GRANT OPTION"
    assert privilege.revoked_from("x") == "REVOKE GRANT OPTION ON *.* FROM x"


def test_roles_and_proxies_pass_on_themselves() -> None:
    found = of(
        "GRANT `ro`@`%`,`odd TO role`@`%` TO `o`@`%` WITH ADMIN OPTION",
        "GRANT PROXY ON `x'y`@`%` TO `o`@`%` WITH GRANT OPTION",
        "SET DEFAULT ROLE `ro` FOR `o`@`%`",
    )

    assert found == {
        Privilege("`ro`@`%`", "", passes_on=True),
        Privilege("`odd TO role`@`%`", "", passes_on=True),
        Privilege("PROXY", "`x'y`@`%`", passes_on=True),
    }
    assert {privilege.granted_to("x") for privilege in found} == {
        "GRANT `ro`@`%` TO x WITH ADMIN OPTION",
        "GRANT `odd TO role`@`%` TO x WITH ADMIN OPTION",
        "GRANT PROXY ON `x'y`@`%` TO x WITH GRANT OPTION",
    }


def test_a_dynamic_privilege_of_mysql_does_not_pass_on_the_others() -> None:
    found = of(
        "GRANT SELECT, CREATE TEMPORARY TABLES ON *.* TO `o`@`%`",
        "GRANT BACKUP_ADMIN,ROLE_ADMIN ON *.* TO `o`@`%` WITH GRANT OPTION",
    )

    assert found == {
        Privilege("SELECT", "*.*"),
        Privilege("CREATE TEMPORARY TABLES", "*.*"),
        Privilege("BACKUP_ADMIN", "*.*", passes_on=True),
        Privilege("ROLE_ADMIN", "*.*", passes_on=True),
    }


def test_one_of_mariadb_with_an_underscore_is_not_dynamic() -> None:
    assert of("GRANT READ_ONLY ADMIN ON *.* TO `o`@`%` WITH GRANT OPTION") == {
        Privilege("READ_ONLY ADMIN", "*.*"),
        Privilege("GRANT OPTION", "*.*"),
    }


def test_what_is_for_others_is_left_out() -> None:
    assert of("GRANT SELECT ON `mysql`.* TO PUBLIC", "GRANT SELECT ON *.* TO `p`@`%`") == set()


def test_a_partial_revoke_is_refused() -> None:
    with pytest.raises(TargetRefusedError, match="partial revoke"):
        of("REVOKE SELECT ON `mysql`.* FROM `o`@`%`")


@pytest.mark.parametrize("line", ["", "GRANT", "GRANT SELECT ON x", "TO"])
def test_what_is_not_understood_is_refused(line: str) -> None:
    with pytest.raises(TargetRefusedError):
        of(line)


def test_the_right_to_pass_on_is_given_last_and_taken_first() -> None:
    one, right = Privilege("SELECT", "a.*"), Privilege("GRANT OPTION", "a.*")

    assert granting([right, one]) == [one, right]
    assert revoking([one, right]) == [right, one]


NAMES = st.text(st.sampled_from("ab `'\"%.,()TOFRMNGI@*é"), min_size=1, max_size=12)


@given(NAMES, NAMES, NAMES, NAMES)
def test_any_name_is_read_as_it_was_written(db: str, table: str, column: str, user: str) -> None:
    def quoted(name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    on = f"{quoted(db)}.{quoted(table)}"
    line = (
        f"GRANT SELECT ({quoted(column)}), INSERT ON {on} TO {quoted(user)}@`%` WITH GRANT OPTION"
    )

    assert read([line], user, "%") == {
        Privilege(f"SELECT ({quoted(column)})", on),
        Privilege("INSERT", on),
        Privilege("GRANT OPTION", on),
    }
    assert read([line], user + "x", "%") == frozenset()
