"""Composes notify: the bus, the gateways, the approved texts, the senders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from services.notify.api import router
from services.notify.api_templates import router as templates_router
from services.notify.channels.email import EmailGateway
from services.notify.channels.failing_over import FailOver
from services.notify.channels.gateway import Gateway
from services.notify.channels.receiving import ReceiptBox
from services.notify.channels.sms import SmsGateway
from services.notify.domain.decision import Policy
from services.notify.domain.wording import Issuer
from services.notify.hand_over import Hands
from services.notify.handlers import HANDLES, SUBSCRIPTIONS, handle
from services.notify.rendering import load_issuer, load_templates, load_words
from services.notify.sending import Senders
from services.notify.settings import Settings
from services.notify.store.customers import with_contacts
from services.notify.store.retention import old_rows
from services.notify.timers import timers
from services.notify.writing import Writer
from shared.bus.bus import Bus
from shared.events.kinds import MessageChannel
from shared.events.registry import CONTACTS
from shared.forgetting import forgetting
from shared.ids import uuid7
from shared.rules.rulebook import rulebook
from shared.service import create_service
from shared.web.app import Parts


def create_app(settings: Settings | None = None, *, parts: Parts | None = None) -> FastAPI:
    """Return the service, made from its settings; `parts` are what a test sets otherwise.

    Raises:
        DataFileError: a text, the manifest or the issuer's file is not fit to be used; nothing is started.
    """
    settings = settings or Settings()
    parts = parts or Parts()
    issuer = load_issuer(settings.issuer_file)
    gateways = make_gateways(settings, issuer)
    senders = Senders(
        hands=Hands(gateways, holder=f"{settings.instance}/{uuid7()}"),
        writer=Writer(load_templates(issuer), issuer, load_words()),
        policy=Policy(rulebook(settings.rule_packs), issuer.time_zone),
    )
    bus = Bus(
        service="notify",
        settings=settings,
        clock=parts.clock or settings.clock(),
        metrics=parts.metrics,
        subscriptions=SUBSCRIPTIONS,
        handle=handle,
        handles=HANDLES,
        sweeps={CONTACTS: with_contacts},
        timers=(
            *timers(senders, boxes_of(gateways)),
            forgetting(settings.records_kept, *old_rows(settings.records_kept)),
        ),
    )
    app = create_service(
        bus, title="通知服务 Notices", settings=settings, routers=(router, templates_router), parts=parts
    )
    app.state.senders = senders
    return _with_gateways(app, gateways)


def make_gateways(settings: Settings, issuer: Issuer) -> Mapping[MessageChannel, Gateway]:
    """Return the real gateways, not yet started."""
    return {
        "sms": _sms(settings, issuer),
        "email": EmailGateway(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=issuer.mail_sender,
            sender_name=issuer.name.zh,
            rate=settings.mail_rate,
        ),
    }


def _sms(settings: Settings, issuer: Issuer) -> Gateway:
    first = SmsGateway(
        host=settings.smpp_host,
        port=settings.smpp_port,
        system_id=settings.smpp_system_id,
        password=settings.smpp_password.get_secret_value(),
        source=issuer.sms_source,
        mode=settings.sms_mode,
        rate=settings.sms_rate,
    )
    if not settings.smpp2_host:
        return first
    second = SmsGateway(
        host=settings.smpp2_host,
        port=settings.smpp2_port,
        system_id=settings.smpp2_system_id,
        password=settings.smpp2_password.get_secret_value(),
        source=settings.sms2_source or issuer.sms_source,
        mode=settings.sms2_mode,
        rate=settings.sms2_rate,
        name="second",
    )
    return FailOver((first, second))


def boxes_of(gateways: Mapping[MessageChannel, Gateway]) -> list[ReceiptBox]:
    """Return where the gateways lay the receipts that they are delivered."""
    single = [
        each
        for gateway in gateways.values()
        for each in (gateway.gateways if isinstance(gateway, FailOver) else (gateway,))
    ]
    return [gateway.receipts for gateway in single if isinstance(gateway, SmsGateway)]


def _with_gateways(app: FastAPI, gateways: Mapping[MessageChannel, Gateway]) -> FastAPI:
    """Run the gateways around everything else: they stop last, so that what is on its way can still be answered."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for gateway in gateways.values():
                stack.push_async_callback(gateway.stop)
                await gateway.start()
            await stack.enter_async_context(inner(running))
            yield

    app.router.lifespan_context = lifespan
    return app
