"""What is wrong with a field and what to do about it, in Chinese and English. Values are never repeated."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import FieldError


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fault and its remedy, not yet tied to a field."""

    fault_zh: str
    fault_en: str
    remedy_zh: str
    remedy_en: str

    def at(self, field: str) -> FieldError:
        """Return the error of the field whose path, as the sender wrote it, is `field`."""
        return FieldError(field, self.fault_zh, self.fault_en, self.remedy_zh, self.remedy_en)


MISSING = Wrong("缺少该字段", "is missing", "请补上该字段", "send this field")
UNKNOWN = Wrong(
    "该事件没有这个字段",
    "is not a field of this event",
    "请删除该字段，或核对字段名（见 /v1/capabilities 所列的 JSON Schema）",
    "remove it or correct its name (see the JSON Schemas listed by /v1/capabilities)",
)
NOT_AN_OBJECT = Wrong("不是 JSON 对象", "is not a JSON object", "请发送 JSON 对象", "send a JSON object")
NOT_A_LIST = Wrong("不是 JSON 数组", "is not a JSON array", "请发送 JSON 数组", "send a JSON array")
NOT_TEXT = Wrong("不是字符串", "is not a string", "请发送字符串", "send a string")
NOT_A_WHOLE_NUMBER = Wrong(
    "不是整数",
    "is not a whole number",
    "请发送 JSON 整数；金额以最小货币单位（如分）计，不带引号和小数点",
    "send a JSON integer; amounts are in minor units (fen, cents), without quotes or a decimal point",
)
NOT_TRUE_OR_FALSE = Wrong("不是布尔值", "is not true or false", "请发送 true 或 false", "send true or false")
NOT_A_DATE = Wrong(
    "不是有效日期",
    "is not a valid date",
    "请按 YYYY-MM-DD 书写，例如 2026-02-25",
    "write YYYY-MM-DD, for example 2026-02-25",
)
NOT_AN_INSTANT = Wrong(
    "不是有效时间",
    "is not a valid instant",
    "请按 RFC 3339 书写并带时区，例如 2026-02-25T09:00:00+08:00",
    "write RFC 3339 with an offset, for example 2026-02-25T09:00:00+08:00",
)
NAIVE_INSTANT = Wrong(
    "时间没有时区",
    "has no offset from UTC",
    "请带上时区，例如 2026-02-25T09:00:00+08:00 或 2026-02-25T01:00:00Z",
    "add the offset, for example 2026-02-25T09:00:00+08:00 or 2026-02-25T01:00:00Z",
)
IN_THE_FUTURE = Wrong(
    "晚于当前时间",
    "is in the future",
    "只接受已经发生的事；请核对该值和发送方的时钟",
    "only what has happened is accepted; check the value and the sender's clock",
)
TOO_LONG_AGO = Wrong("早于 1970-01-01", "is before 1970-01-01", "请核对该值", "check the value")
NO_SUCH_CURRENCY = Wrong(
    "不是 ISO 4217 货币代码",
    "is not an ISO 4217 currency",
    "请使用 ISO 4217 现行代码，例如 CNY",
    "use a current ISO 4217 code, for example CNY",
)
NO_SUCH_ZONE = Wrong(
    "不是已知时区",
    "is not a known time zone",
    "请使用 IANA 时区名，例如 Asia/Shanghai",
    "use an IANA time zone name, for example Asia/Shanghai",
)
AFTER_AS_OF = Wrong(
    "晚于 as_of 当天",
    "is after the day of as_of",
    "快照不能包含其时点之后的日期；请核对该值与 as_of",
    "a snapshot cannot hold dates after its own day; check the value and as_of",
)
MONTH_TWICE = Wrong("同一月份出现多次", "is a month given twice", "每个月份只发送一条", "send each month once")
ADDRESS_TWICE = Wrong(
    "同一 address_id 出现多次",
    "is an address_id given twice",
    "每个地址使用不同的 address_id",
    "give each address its own address_id",
)
UNTIL_NOT_AFTER_SINCE = Wrong(
    "不晚于 since",
    "is not after since",
    "请使 until 晚于 since；跨午夜的时段请拆成两段",
    "make until later than since; split a window that crosses midnight in two",
)
FULL_CARD_NUMBER = Wrong(
    "含有完整卡号",
    "holds a full card number",
    "请勿发送完整卡号；只使用账户令牌和卡号后四位",
    "never send a full card number; use the account token and the last four digits only",
)
NOT_SOUND = Wrong(
    "不符合该事件的 JSON Schema",
    "does not fit the JSON Schema of this event",
    "请对照 /v1/capabilities 所列的 JSON Schema 核对",
    "compare with the JSON Schema listed by /v1/capabilities",
)
SPECVERSION = Wrong(
    "不是 CloudEvents 1.0", "is not CloudEvents 1.0", '请发送 "specversion": "1.0"', 'send "specversion": "1.0"'
)
NOT_JSON_DATA = Wrong(
    "数据不是 JSON",
    "is not a JSON content type",
    "请发送 application/json，或省略该字段",
    "send application/json, or leave it out",
)
BINARY_DATA = Wrong(
    "不接受二进制数据",
    "is binary data, which is not accepted",
    "请以 JSON 对象放在 data 中",
    "send the fact as a JSON object in data",
)
ATTRIBUTE_NAME = Wrong(
    "属性名不符合 CloudEvents",
    "is not a CloudEvents attribute name",
    "属性名只用 1 至 20 个小写字母和数字",
    "use 1 to 20 lower-case letters and digits",
)
ATTRIBUTE_VALUE = Wrong(
    "扩展属性不是字符串、整数或布尔值",
    "is an extension that is not a string, integer or boolean",
    "请发送字符串、整数或布尔值",
    "send a string, an integer or a boolean",
)
ATTRIBUTE_TEXT = Wrong(
    "不是 UTF-8 或含有控制字符",
    "is not UTF-8 or holds control characters",
    "请以 UTF-8 书写，HTTP 头中以百分号编码",
    "write it in UTF-8, percent-encoded in an HTTP header",
)
HEADER_TWICE = Wrong("该头出现多次", "is a header given twice", "每个头只发送一次", "send each header once")
NOT_BY_HEADER = Wrong(
    "不能以 ce 头发送",
    "cannot be sent as a ce header",
    "数据放在正文中，其类型放在 Content-Type 中",
    "put the data into the body and its type into Content-Type",
)
LINE_TOO_LONG = Wrong("该行过长", "is a line that is too long", "请每行只写一个事件", "write one event a line")
NO_SUCH_TYPE = Wrong(
    "不是可接收的事件类型",
    "is not an event type that is accepted here",
    "请使用 /v1/capabilities 所列的类型",
    "use one of the types listed by /v1/capabilities",
)

NEWER_CONTACTS = Wrong(
    "早于此后收到的联系资料",
    "is before contact data that were sent since",
    "要删除的若包括较新的资料，请使用不早于它们的 as_of，并以新的 id 发送",
    "if the newer data are to be erased too, send an as_of that is not before theirs, under a new id",
)


NO_VALUE = Wrong(
    "记录没有内容",
    "is a record without a value",
    "请发送 JSON 对象；删除资料请用删除事件",
    "send a JSON object; erase by an erasure",
)
NOT_AN_EVENT = Wrong(
    "记录不是 CloudEvents",
    "is a record that is no CloudEvent",
    "请用 ce_ 头，或以 application/cloudevents+json 发送整个事件",
    "give it ce_ headers, or send the whole event as application/cloudevents+json",
)
CONFLICT = Wrong(
    "同一 source 与 id 的事件已接收，但内容不同",
    "is an event whose source and id came before with other content",
    "新的事件请使用新的 id；重试时请原样发送",
    "give a new event a new id; send a retry unchanged",
)
LOG_ANEW = Wrong(
    "主题被重新建立或截短，已从头读起",
    "was made again or cut short, and is read from its start",
    "已接收的事件不会重复生效；请确认没有事件遗失",
    "no event takes effect twice; make sure that none was lost",
)


def lost(first: int, last: int) -> Wrong:
    """Return what is said of records that were removed from the log before they were read."""
    return Wrong(
        f"位置 {first} 至 {last} 的记录在读取前已被删除",
        f"lost its records {first} to {last} before they were read",
        "请重新发送这些事件；已接收的不会重复生效",
        "send those events again; none that was taken takes effect twice",
    )


def one_of(values: tuple[object, ...]) -> Wrong:
    """Return the fault of a value that is not one of `values`."""
    listed = ", ".join(str(value) for value in values)
    return Wrong("不是允许的值", "is not an allowed value", f"允许的值：{listed}", f"allowed values: {listed}")


def out_of_range(low: int | None, high: int | None) -> Wrong:
    """Return the fault of a whole number outside `low` to `high`."""
    return Wrong(
        "超出范围", "is out of range", f"请发送 {low} 至 {high} 之间的整数", f"send a whole number from {low} to {high}"
    )


def wrong_length(low: int | None, high: int | None, unit_zh: str, unit_en: str) -> Wrong:
    """Return the fault of a text or list that is too short or too long."""
    least = low or 0
    return Wrong(
        "长度不符", "has the wrong length", f"请发送 {least} 至 {high} {unit_zh}", f"send {least} to {high} {unit_en}"
    )


def wrong_form(form_zh: str, form_en: str) -> Wrong:
    """Return the fault of a text that is not written in its form."""
    return Wrong("格式不符", "is not in its form", f"格式：{form_zh}", f"form: {form_en}")
