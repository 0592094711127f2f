"""What notify needs to know beside what every service is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from services.notify.channels.sms_parts import SmsMode
from services.notify.rendering import ISSUER
from shared.rules.rulebook import CHINA_CARD
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Where messages are handed over, and what the issuer's own file and rule packs are.

    `sms_mode`: how a long text travels, as the centre wants it: parts with user data headers, or one payload.
    `smpp_password`: SMPP 3.4 has at most 8 characters.
    """

    smtp_host: str
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smpp_host: str
    smpp_port: int = Field(default=2775, ge=1, le=65535)
    smpp_system_id: str = Field(max_length=15)
    smpp_password: SecretStr = Field(max_length=8)
    sms_mode: SmsMode = "udh"
    issuer_file: Path = ISSUER
    rule_packs: tuple[str, ...] = CHINA_CARD
