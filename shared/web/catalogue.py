"""Every problem that an API of Arrears answers, as data: status, words in Chinese and English, remedy.

A service adds its own rows through `service_app(problem_types=…)`. Codes are part of the API: never renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem: what its page says and which HTTP status it has."""

    code: str
    status: int
    title_zh: str
    title_en: str
    meaning_zh: str
    meaning_en: str
    remedy_zh: str
    remedy_en: str


Catalogue = Mapping[str, ProblemType]

COMMON: tuple[ProblemType, ...] = (
    ProblemType(
        "malformed_body",
        400,
        "请求正文无法读取",
        "The body cannot be read",
        "正文不是严格的 JSON：不是 UTF-8、语法有误、字段重复、数值超出范围、含空字符或嵌套过深。",
        "The body is not strict JSON: not UTF-8, a syntax error, a repeated field, a number out of range, "
        "a NUL character, or nested too deeply.",
        "按 errors 中的字段逐一改正后重新发送。",
        "Correct each field listed in errors and send it again.",
    ),
    ProblemType(
        "bad_request",
        400,
        "请求有误",
        "The request is wrong",
        "请求的形式不正确。",
        "The request does not have the form that is asked for.",
        "对照接口文档检查请求。",
        "Compare the request with the API's documentation.",
    ),
    ProblemType(
        "unauthenticated",
        401,
        "需要有效的令牌",
        "A valid token is needed",
        "请求没有携带令牌，或令牌已过期、签发者不符、签名无效。",
        "The request carries no token, or one that has expired, comes from another issuer or is not validly signed.",
        "向签发者取得新令牌，放入 Authorization: Bearer 请求头。",
        "Get a new token from the issuer and send it as Authorization: Bearer.",
    ),
    ProblemType(
        "forbidden",
        403,
        "角色无权进行此操作",
        "The role may not do this",
        "令牌有效，但其角色不允许此操作。",
        "The token is valid, but none of its roles may do this.",
        "使用具有所需角色的账号，或联系主管。",
        "Use an account that has the role, or ask a supervisor.",
    ),
    ProblemType(
        "not_found",
        404,
        "找不到",
        "Not found",
        "此地址没有内容，或内容不属于您。",
        "There is nothing at this address, or it is not yours.",
        "检查地址与编号。",
        "Check the address and the id.",
    ),
    ProblemType(
        "method_not_allowed",
        405,
        "此地址不支持该方法",
        "The method is not allowed here",
        "此地址存在，但不接受这个 HTTP 方法。",
        "The address exists but does not take this HTTP method.",
        "使用 Allow 响应头列出的方法。",
        "Use a method named in the Allow header.",
    ),
    ProblemType(
        "conflict",
        409,
        "与当前状态冲突",
        "In conflict with the present state",
        "当前状态不允许此操作，或他人已抢先处理。",
        "The present state does not allow this, or somebody else was faster.",
        "重新读取后再决定。",
        "Read it again, then decide again.",
    ),
    ProblemType(
        "idempotency_key_reused",
        409,
        "幂等键已用于其他内容",
        "The idempotency key was used for something else",
        "同一 Idempotency-Key 曾用于另一个请求。",
        "The same Idempotency-Key was sent before with another request.",
        "新的操作请使用新的键；重试时请原样发送。",
        "Use a new key for a new command; send a retry unchanged.",
    ),
    ProblemType(
        "precondition_failed",
        412,
        "内容已被他人更改",
        "Somebody else has changed it",
        "If-Match 所指的版本已不是当前版本。",
        "The version named by If-Match is no longer the present one.",
        "重新读取，取得新的 ETag 后再决定。",
        "Read it again, take its new ETag, then decide again.",
    ),
    ProblemType(
        "body_too_large",
        413,
        "请求正文过大",
        "The body is too large",
        "正文超过了 limit_bytes 所示的上限。",
        "The body exceeds the limit given in limit_bytes.",
        "分成多个请求发送。",
        "Send it as several requests.",
    ),
    ProblemType(
        "batch_too_large",
        413,
        "批次条目过多",
        "The batch has too many items",
        "批次的条目数超过了 limit_items 所示的上限。",
        "The batch holds more items than limit_items.",
        "分成多个批次发送。",
        "Send it as several batches.",
    ),
    ProblemType(
        "unsupported_media_type",
        415,
        "不支持的内容类型",
        "The media type is not supported",
        "正文的 Content-Type、字符集或 Content-Encoding 不被接受。",
        "The body's Content-Type, charset or Content-Encoding is not accepted.",
        "以 UTF-8 的 JSON 发送，不压缩，并注明 Content-Type。",
        "Send JSON in UTF-8, not compressed, and name its Content-Type.",
    ),
    ProblemType(
        "invalid_fields",
        422,
        "字段有误",
        "Fields are wrong",
        "正文可以读取，但有字段缺失、多余或取值不允许。",
        "The body can be read, but fields are missing, unknown or hold what is not allowed.",
        "按 errors 中的字段逐一改正。",
        "Correct each field listed in errors.",
    ),
    ProblemType(
        "refused_by_rule",
        422,
        "规则不允许",
        "A rule does not allow it",
        "催收规则不允许此操作；详情给出规则编号与来源。",
        "A collection rule does not allow this; the detail names the rule and its source.",
        "按规则所述的条件或时间再办理。",
        "Act when and as the rule says.",
    ),
    ProblemType(
        "precondition_required",
        428,
        "缺少前置条件",
        "A precondition is required",
        "此操作可能与他人同时进行，需要 If-Match 或 Idempotency-Key。",
        "Somebody may act at the same time or the answer may be lost, so If-Match or Idempotency-Key is needed.",
        "补上 errors 中列出的请求头。",
        "Send the header listed in errors.",
    ),
    ProblemType(
        "too_many_requests",
        429,
        "请求过于频繁",
        "Too many requests",
        "短时间内的请求过多。",
        "There were too many requests in a short time.",
        "按 Retry-After 所示等待后重试。",
        "Wait as long as Retry-After says.",
    ),
    ProblemType(
        "internal",
        500,
        "系统内部错误",
        "Something went wrong here",
        "系统未能完成请求，原因在我方，已记录。",
        "The request failed through no fault of the sender; it has been logged.",
        "稍后重试；仍然失败时，请将 request_id 告知运维人员。",
        "Try again later; if it persists, tell the operators the request_id.",
    ),
    ProblemType(
        "unavailable",
        503,
        "暂时不可用",
        "Not available for now",
        "所依赖的数据库、消息系统或签发者暂时无法访问。",
        "A database, broker or token issuer that is needed is away for now.",
        "稍后以同一 Idempotency-Key 重试。",
        "Try again soon, with the same Idempotency-Key.",
    ),
    ProblemType(
        "reading_behind",
        503,
        "尚未读到最新消息，暂停办理",
        "Not read to the end, so nobody acts",
        "关于该客户的消息可能尚未读到，其中可能有停催或还款。",
        "Facts about the customer may lie unread, a stop or a payment among them.",
        "稍后重试；如持续出现，请运维人员查看读取位置。",
        "Try again soon; if it lasts, have the operators look at the positions.",
    ),
)


def catalogue(more: Iterable[ProblemType] = ()) -> Catalogue:
    """Return the common problems and a service's own by code; a code that is taken twice is an error."""
    rows: dict[str, ProblemType] = {}
    for row in (*COMMON, *more):
        if row.code in rows:
            raise ValueError(f"the problem code {row.code} is taken twice")
        rows[row.code] = row
    return rows


def code_for_status(status: int) -> str:
    """Return the common code for a bare HTTP status, as raised by the framework."""
    if status >= 500:
        return "unavailable" if status == 503 else "internal"
    named = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 409: "conflict"}
    named |= {412: "precondition_failed", 413: "body_too_large", 415: "unsupported_media_type"}
    named |= {422: "invalid_fields", 428: "precondition_required", 429: "too_many_requests"}
    return named.get(status, "bad_request")
