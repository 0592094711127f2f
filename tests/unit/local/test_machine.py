import pytest

from deploy.local.errors import MissingPartError
from deploy.local.machine import check_machine, check_memory, check_system


def test_this_machine_has_everything() -> None:
    check_machine()


def test_old_python_is_told_with_the_remedy() -> None:
    check_system("Linux", (3, 11))
    check_system("Linux", (3, 14))
    with pytest.raises(MissingPartError, match=r"Python 3\.11 or newer is needed, this is 3\.9: run `make") as told:
        check_system("Linux", (3, 9))
    assert "\n" not in str(told.value)


def test_other_system_is_told_with_the_remedy() -> None:
    with pytest.raises(MissingPartError, match="runs on Linux, not on Darwin: use `docker compose"):
        check_system("Darwin", (3, 12))


def test_scarce_memory_is_told_with_the_remedy() -> None:
    check_memory("MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n")
    with pytest.raises(MissingPartError, match="only 488 MB of memory are free"):
        check_memory("MemTotal: 4000000 kB\nMemAvailable: 500000 kB\n")
