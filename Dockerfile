# Two images: `service`, which is every service, every migration and the try-out's token issuer, and `sms`, the
# try-out's SMS centre. Which of them a container is, its command says.
FROM python:3.11.14-slim-bookworm AS libraries
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-input --only-binary :all: --require-hashes -r requirements.txt

# Of the developer's lock only what the SMS centre speaks, with its hashes.
FROM libraries AS sms-libraries
COPY requirements-dev.txt ./
RUN sed -n '/^smpp34==/,/[^\\]$/p' requirements-dev.txt > smpp34.txt \
    && /venv/bin/pip install --no-cache-dir --no-input --only-binary :all: --no-deps --require-hashes -r smpp34.txt

FROM python:3.11.14-slim-bookworm AS base
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin arrears \
    && install -d -o arrears -g arrears -m 0700 /state
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
EXPOSE 8080
STOPSIGNAL SIGTERM

FROM base AS sms
COPY --from=sms-libraries /venv /venv
COPY deploy/__init__.py deploy/
COPY deploy/local deploy/local
USER 10001:10001
CMD ["python", "-m", "deploy.local.sms", "--host", "0.0.0.0", "2775", "8080", "/state/sms.jsonl"]

FROM base AS service
LABEL org.opencontainers.image.title="Arrears" \
    org.opencontainers.image.description="Event-driven collection of overdue credit cards" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=libraries /venv /venv
COPY shared shared
COPY services services
RUN python -m compileall -q shared services
USER 10001:10001
CMD ["python", "-c", "raise SystemExit('say which service: uvicorn --factory services.NAME.app:create_app')"]
