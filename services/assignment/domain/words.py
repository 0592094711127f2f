"""What the codes are called at the desk, in Chinese and English: for timelines that people read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.events.cases import ContactChannelCode, LineCode, OutcomeCode, PartyCode, Queue
from shared.events.visits import MissedReason
from shared.rules.model import StopKind

Words = tuple[str, str]
"""Chinese, English."""

QUEUES: Final[Mapping[Queue, Words]] = MappingProxyType(
    {
        "reminder": ("提醒", "reminder"),
        "phone": ("电催", "phone"),
        "field": ("外访", "field"),
        "hardship": ("困难协商", "hardship"),
        "skip": ("失联查找", "skip"),
        "legal": ("法务", "legal"),
        "agency": ("委外", "agency"),
    }
)
CHANNELS: Final[Mapping[ContactChannelCode, Words]] = MappingProxyType(
    {
        "CALL": ("电催", "Call"),
        "SMS": ("短信", "SMS"),
        "EMAIL": ("邮件", "Email"),
        "LETTER": ("信函", "Letter"),
        "VISIT": ("外访", "Visit"),
        "INBOUND": ("来电", "Call-in"),
    }
)
LINES: Final[Mapping[LineCode, Words]] = MappingProxyType(
    {
        "CONN": ("接通", "connected"),
        "NOAS": ("无人接听", "no answer"),
        "BUSY": ("占线", "busy"),
        "CUT": ("拒接", "cut off"),
        "OFF": ("关机", "switched off"),
        "STOP": ("停机", "out of service"),
        "VOID": ("空号", "no such number"),
        "WRONG": ("错号", "wrong number"),
    }
)
PARTIES: Final[Mapping[PartyCode, Words]] = MappingProxyType(
    {
        "SELF": ("本人", "the customer"),
        "GUAR": ("担保人", "the guarantor"),
        "REL": ("约定联系人", "an agreed contact"),
        "UNREL": ("无关第三方", "an unrelated third party"),
        "UNK": ("未核实", "nobody identified"),
    }
)
OUTCOMES: Final[Mapping[OutcomeCode, Words]] = MappingProxyType(
    {
        "PTP": ("承诺还款", "promises to pay"),
        "PAID": ("声称已还", "says it is paid"),
        "REFUSE": ("拒绝还款", "refuses to pay"),
        "HARD": ("困难申请", "pleads hardship"),
        "DISP": ("异议", "disputes the debt"),
        "COMP": ("投诉", "complains"),
        "PROT": ("死亡、破产或未成年", "is dead, insolvent or a minor"),
        "RELAY": ("同意转告", "will pass a message on"),
        "CALLBK": ("约定回电", "asks to be called back"),
        "INFO": ("告知完成", "was informed"),
        "NONE": ("未沟通", "nothing was said"),
    }
)
STOPS: Final[Mapping[StopKind, Words]] = MappingProxyType(
    {
        "dispute": ("异议", "dispute"),
        "complaint": ("投诉", "complaint"),
        "cease_contact": ("停止联系", "cease contact"),
        "hardship": ("还款困难", "hardship"),
        "deceased": ("死亡", "deceased"),
        "insolvent": ("破产", "insolvent"),
        "represented": ("已委托代理", "represented"),
        "wrong_person": ("非本人", "wrong person"),
    }
)
MISSED: Final[Mapping[MissedReason, Words]] = MappingProxyType(
    {
        "nobody_home": ("无人在家", "nobody at home"),
        "wrong_address": ("地址有误", "wrong address"),
        "moved": ("已搬离", "moved away"),
        "refused_entry": ("拒绝进入", "refused entry"),
        "unsafe": ("不安全", "unsafe"),
        "no_access": ("无法进入", "no access"),
        "not_attempted": ("未前往", "not attempted"),
    }
)
