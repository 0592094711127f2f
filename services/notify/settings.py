"""What notify needs to know beside what every service is told."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from services.notify.channels.email import RATE as MAIL_RATE
from services.notify.channels.sms import RATE as SMS_RATE
from services.notify.channels.sms_parts import SmsMode
from services.notify.rendering import ISSUER
from shared.rules.rulebook import CHINA_CARD
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Where messages are handed over, and what the issuer's own file and rule packs are.

    `sms_mode`: how a long text travels, as the centre wants it: parts with user data headers, or one payload.
    `smpp_password`: SMPP 3.4 has at most 8 characters. `sms_rate`, `mail_rate`: what may be handed over a second, parts
    of short messages or mails, as agreed with the gateway's owner; of each replica, which has a session of its own.

    `smpp2_…`, `sms2_…`: a second SMS centre, which is used for what the first one does not take for now; none unless
    `smpp2_host` is set. `sms2_source`: the sender as it knows it; the issuer's if empty.
    """

    smtp_host: str
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smpp_host: str
    smpp_port: int = Field(default=2775, ge=1, le=65535)
    smpp_system_id: str = Field(max_length=15)
    smpp_password: SecretStr = Field(max_length=8)
    sms_mode: SmsMode = "udh"
    sms_rate: float = Field(default=SMS_RATE, gt=0, le=10_000)
    mail_rate: float = Field(default=MAIL_RATE, gt=0, le=10_000)
    smpp2_host: str = ""
    smpp2_port: int = Field(default=2775, ge=1, le=65535)
    smpp2_system_id: str = Field(default="", max_length=15)
    smpp2_password: SecretStr = Field(default=SecretStr(""), max_length=8)
    sms2_mode: SmsMode = "udh"
    sms2_rate: float = Field(default=SMS_RATE, gt=0, le=10_000)
    sms2_source: str = ""
    issuer_file: Path = ISSUER
    rule_packs: tuple[str, ...] = CHINA_CARD

    @model_validator(mode="after")
    def _second_centre_is_whole(self) -> Self:
        if self.smpp2_host and not (self.smpp2_system_id and self.smpp2_password.get_secret_value()):
            raise ValueError("smpp2_host needs smpp2_system_id and smpp2_password")
        return self
