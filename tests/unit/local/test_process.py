import os

from deploy.local.ledger import Identity
from deploy.local.process import Backoff


def test_wait_doubles_with_each_death_up_to_the_bound() -> None:
    backoff = Backoff(first=0.1, most=5.0)
    assert [backoff.delay(deaths) for deaths in (1, 2, 3, 6, 7, 1_000)] == [0.1, 0.2, 0.4, 3.2, 5.0, 5.0]


def test_identity_is_of_one_life_of_one_process() -> None:
    me = Identity.current("me")
    assert me.is_alive()
    assert not Identity("me", me.pid, me.started - 1, me.boot).is_alive()
    assert not Identity("me", me.pid, me.started, "another boot").is_alive()


def test_process_that_is_gone_has_an_identity_that_never_lives() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not Identity.of("gone", child).is_alive()
