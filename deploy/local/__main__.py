"""`python -m deploy.local`: see deploy/local/command.py."""

import sys

from deploy.local.errors import MissingPartError
from deploy.local.machine import check_machine

if __name__ == "__main__":
    try:
        check_machine()
    except MissingPartError as error:
        sys.exit(f"arrears: {error}")
    from deploy.local.command import main  # only now: it needs the packages that were looked for

    sys.exit(main(sys.argv[1:]))
