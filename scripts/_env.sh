# shellcheck shell=bash
# Shared by scripts/check and scripts/demo: choose a Python and keep .venv up to date.
# Source it from a script that has set -euo pipefail; it defines functions and ROOT only.

ROOT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# Prints the interpreter to build .venv with: $PYTHON if set, else the first that serves.
find_python() {
    local name test='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'
    if [[ -n ${PYTHON:-} ]]; then
        "$PYTHON" -c "$test" 2>/dev/null && { command -v -- "$PYTHON"; return; }
        echo "PYTHON=$PYTHON cannot be used: Python 3.11 or later with venv and ensurepip is needed." >&2
        return 1
    fi
    for name in python3.11 python3.12 python3.13 python3; do
        if command -v "$name" >/dev/null && "$name" -c "$test" 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "No Python 3.11 or later with venv and ensurepip was found; name one with PYTHON=/path/to/python." >&2
    return 1
}

# ensure_env EXTRA: $ROOT/.venv holds this checkout (editable) with EXTRA, at the pinned versions.
# A stamp for each extra remembers what the environment was made from, so the usual call does nothing.
# The extra `dev` includes `demo`.
ensure_env() {
    local extra=$1 venv=$ROOT/.venv python stamp wanted
    python=$(find_python)
    # Moving the checkout or changing the interpreter calls for a new environment,
    # changed requirements only for another installation into the same one.
    wanted="$ROOT $("$python" -c 'import os, sys; print(os.path.realpath(sys.base_prefix), sys.version_info[:3])')"
    if [[ ! -x $venv/bin/python || "$(cat "$venv/.made-with" 2>/dev/null)" != "$wanted" ]]; then
        echo "Creating .venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
        printf '%s\n' "$wanted" >"$venv/.made-with"
    fi
    stamp=$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)
    if [[ "$(cat "$venv/.has-dev" 2>/dev/null)" == "$stamp" ||
        "$(cat "$venv/.has-$extra" 2>/dev/null)" == "$stamp" ]]; then
        return
    fi
    echo "Installing corpus-guardrail[$extra] into .venv"
    "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check \
        -e "${ROOT}[$extra]" -c "$ROOT/constraints.txt"
    printf '%s\n' "$stamp" >"$venv/.has-$extra"
}
