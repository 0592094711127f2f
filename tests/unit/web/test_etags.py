from __future__ import annotations

import pytest

from shared.errors import Problem
from shared.web.etags import check_if_match, etag


@pytest.mark.parametrize("given", [etag(3), '"v1", "v3"', "*", ' "v3" '])
def test_who_names_the_present_version_may_act(given: str) -> None:
    check_if_match(given, 3)


@pytest.mark.parametrize("given", [etag(2), 'W/"v3"', "v3", '"v33"', '"'])
def test_who_names_another_version_is_told_to_read_again(given: str) -> None:
    with pytest.raises(Problem) as caught:
        check_if_match(given, 3)
    assert caught.value.code == "precondition_failed"
    assert caught.value.extra == {"etag": '"v3"'}


@pytest.mark.parametrize("given", [None, "", "  "])
def test_who_names_no_version_is_asked_for_one_where_it_matters(given: str | None) -> None:
    check_if_match(given, 3, required=False)
    with pytest.raises(Problem) as caught:
        check_if_match(given, 3)
    assert caught.value.code == "precondition_required"
