#!/bin/sh
# Makes .venv from requirements-dev.txt with plain Python and pip; does nothing when it is there already.
# The stamp holds the lock's SHA-256, so a changed lock is installed and an unchanged one costs nothing.
# PYTHON=<program> chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

lock=requirements-dev.txt
stamp=.venv/.lock

fail() {
    echo "arrears: $1" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Every folder of PATH is asked, not only the first that has the name: a version manager's shim may stand
# before the system's Python and refuse to run.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" && echo "$PYTHON"
        return
    fi
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        old_ifs=$IFS
        IFS=:
        for folder in $PATH; do
            IFS=$old_ifs
            if [ -x "$folder/$name" ] && new_enough "$folder/$name"; then
                echo "$folder/$name"
                return
            fi
        done
        IFS=$old_ifs
    done
    return 1
}

lock_hash() {
    "$1" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$lock"
}

if new_enough .venv/bin/python && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(lock_hash .venv/bin/python)" ]; then
    exit 0
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! new_enough .venv/bin/python; then
    found=$("${PYTHON:-python3}" --version 2>/dev/null) || found=none
    python=$(find_python) ||
        fail "Python 3.11 or newer is needed (found: $found); install it, or name it: make PYTHON=<program> …"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python has no venv module; install it (Debian and Ubuntu: the package python3-venv) and run make again"
    echo "arrears: making .venv with $("$python" --version 2>&1)"
    "$python" -m venv --clear .venv
fi
echo "arrears: installing $(grep -c '^[a-z0-9].*==' "$lock") pinned packages into .venv, about a minute the first time"
rm -f "$stamp"
.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: --require-hashes -r "$lock" ||
    fail "pip could not install $lock; it needs a package index it can reach (pip's own settings apply, e.g. PIP_INDEX_URL)"
lock_hash .venv/bin/python >"$stamp"
