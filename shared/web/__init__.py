"""The skeleton that every service stands on: one app factory, problems, tokens, bodies, pages, idempotency keys."""
