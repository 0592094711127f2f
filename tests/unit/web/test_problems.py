from __future__ import annotations

import json
import re

import pytest

from shared.errors import FieldError, Problem
from shared.web.catalogue import COMMON, ProblemType, catalogue, code_for_status
from shared.web.problems import document, problem_response

TYPES = catalogue()


def test_every_problem_says_everything_in_both_languages() -> None:
    for row in COMMON:
        assert re.fullmatch(r"[a-z_]+", row.code)
        assert 400 <= row.status < 600
        for zh in (row.title_zh, row.meaning_zh, row.remedy_zh):
            assert re.search(r"[\u4e00-\u9fff]", zh), row.code
        for en in (row.title_en, row.meaning_en, row.remedy_en):
            assert en.isascii(), row.code


def test_every_status_that_the_framework_raises_has_a_kind() -> None:
    for status in range(400, 600):
        code = code_for_status(status)
        assert code in TYPES
        assert TYPES[code].status // 100 == status // 100


def test_a_service_cannot_take_a_code_twice() -> None:
    with pytest.raises(ValueError, match="conflict"):
        catalogue([ProblemType("conflict", 409, "", "", "", "", "", "")])


def test_a_document_has_every_member_in_chinese_and_english() -> None:
    error = FieldError("data.amount", "缺少此字段", "is missing", "请补上", "add it")
    members = document(Problem("invalid_fields", "有误。", "Wrong.", (error,), extra={"limit": 3}), TYPES, "r1")
    assert members == {
        "type": "/problems/invalid_fields",
        "title": "字段有误",
        "title_en": "Fields are wrong",
        "status": 422,
        "detail": "有误。",
        "detail_en": "Wrong.",
        "code": "invalid_fields",
        "request_id": "r1",
        "errors": [
            {
                "field": "data.amount",
                "fault": "缺少此字段",
                "fault_en": "is missing",
                "remedy": "请补上",
                "remedy_en": "add it",
            }
        ],
        "limit": 3,
    }


def test_extra_members_cannot_replace_the_fixed_ones() -> None:
    members = document(Problem("conflict", "冲突。", "Conflict.", extra={"status": 200, "code": "ok"}), TYPES, "r1")
    assert (members["status"], members["code"]) == (409, "conflict")


def test_a_field_name_that_a_sender_made_up_is_cut_and_cleaned() -> None:
    error = FieldError("a\0<b>" + "x" * 500, "", "", "", "")
    (told,) = document(Problem("invalid_fields", "", "", (error,)), TYPES, "r")["errors"]
    assert told["field"].startswith("a??b?x")
    assert len(told["field"]) == 200


@pytest.mark.expected_errors("a problem code is missing from the catalogue")
def test_a_code_without_a_page_keeps_its_status_and_is_reported() -> None:
    answer = problem_response(Problem("no_such_code", "不。", "No.", status=409), TYPES)
    members = json.loads(bytes(answer.body))
    assert (answer.status_code, members["type"], members["code"]) == (409, "/problems/conflict", "no_such_code")


def test_401_names_the_scheme_and_503_says_when_to_come_back() -> None:
    missing = problem_response(Problem("unauthenticated", "", "", extra={"reason": "missing"}), TYPES)
    invalid = problem_response(Problem("unauthenticated", "", "", extra={"reason": "invalid"}), TYPES)
    away = problem_response(Problem("unavailable", "", ""), TYPES)
    assert missing.headers["www-authenticate"] == 'Bearer realm="arrears"'
    assert invalid.headers["www-authenticate"] == 'Bearer realm="arrears", error="invalid_token"'
    assert away.headers["retry-after"] == "2"
