#!/usr/bin/env bash
# Make .venv with Python 3.10 and everything that sdt-lava needs; a second run reuses it.
#
#   scripts/setup.sh         library, commands and development tools
#
# Python 3.10 is taken from $PYTHON, from PATH, from pyenv, or fetched by uv, in that order.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.sdt-lava-installed
wanted=$(cat pyproject.toml scripts/setup.sh | cksum)

if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

is_python310() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1
}

find_python310() {
    local candidate
    for candidate in "${PYTHON:-}" python3.10 python3 python \
        "$HOME"/.pyenv/versions/3.10*/bin/python /opt/python/3.10*/bin/python3; do
        if [ -n "$candidate" ] && is_python310 "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

# A uv that works here: a shim of another Python's may be on PATH without running.
find_uv() {
    local candidate
    for candidate in uv "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv" "$HOME"/.pyenv/versions/*/bin/uv; do
        if "$candidate" --version >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# The installer of last resort: uv in a small environment of its own, from any Python 3.
bootstrap_uv() {
    local python
    for python in python3 python3.12 python3.11 python; do
        if "$python" -m venv build/uv >/dev/null 2>&1 &&
            build/uv/bin/python -m pip install --quiet uv >&2; then
            echo build/uv/bin/uv
            return
        fi
        if "$python" -m pip install --quiet --target build/uv-lib uv >/dev/null 2>&1; then
            echo build/uv-lib/bin/uv
            return
        fi
    done
    return 1
}

mkdir -p build
uv=$(find_uv || true)
python=$(find_python310 || true)

if [ -z "$uv" ] && [ -z "$python" ]; then
    echo "no Python 3.10 found; installing uv to fetch it" >&2
    uv=$(bootstrap_uv) || {
        echo "error:  no Python 3.10 and no way to fetch it" >&2
        echo "remedy: install python3.10 or uv, or set PYTHON=/path/to/python3.10" >&2
        exit 2
    }
fi

rm -f "$stamp"
if [ -z "$python" ]; then
    echo "fetching Python 3.10 with uv" >&2
    "$uv" venv --quiet --clear --python 3.10 "$venv"
elif ! { [ -x "$venv/bin/python" ] && is_python310 "$venv/bin/python"; }; then
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 || {
        # Debian splits venv from python: uv makes one without it.
        rm -rf "$venv"
        uv=${uv:-$(bootstrap_uv)}
        "$uv" venv --quiet --python "$python" "$venv"
    }
fi

echo "installing dependencies into $venv (once)" >&2
if [ -n "$uv" ]; then
    "$uv" pip install --quiet --python "$venv/bin/python" --editable '.[dev,tensorboard]'
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev,tensorboard]'
fi
echo "$wanted" >"$stamp"
