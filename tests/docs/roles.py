"""Writes docs/roles.md: `python -m tests.docs.roles > docs/roles.md`. A test holds the two together.

It lies with the tests because it builds all five applications, which nothing that is shipped does.
"""

from __future__ import annotations

import sys

from shared.web.auth import Role
from shared.web.permissions import role_matrix
from shared.web.signing import Signer
from tests.apps import SERVICES, build

_HEAD = """# Routes and roles

Written by `python -m tests.docs.roles > docs/roles.md`; do not edit by hand. A token with one of the marked roles
passes; another role is refused with 403, no token with 401. Without a token: `/healthz`, `/readyz`, `/metrics`, the
problem pages, and in development the API's own pages. Whose data a person sees is decided by each service: an agent's
own cases and visits, a supervisor's team.
"""


def page() -> str:
    """Return docs/roles.md: which role may call which route."""
    signer = Signer.generate(issuer="http://issuer.test")
    parts = [_HEAD]
    for service in SERVICES:
        parts.append(f"\n## {service}\n\n| route | {' | '.join(Role)} |\n|---|{'---|' * len(Role)}\n")
        for method, path, roles in role_matrix(build(service, signer)):
            marks = " | ".join("x" if role in roles else "" for role in Role)
            parts.append(f"| {method} `{path}` | {marks} |\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
