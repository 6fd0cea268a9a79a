#!/usr/bin/env bash
# Make an environment with sdt-lava, its commands and the development tools; a second run reuses it.
#
#   scripts/setup.sh                  .venv: Python 3.10 with Lava; where no Python 3.10 can be had,
#                                     the newest Python at hand, without Lava
#   scripts/setup.sh --without-lava   .venv-newest: the newest Python at hand, without Lava
#
# A Python is taken from $PYTHON, from PATH, from pyenv or from uv, in that order, and otherwise
# fetched by uv. Versions are those of constraints/.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
with_lava=yes
case "${1:-}" in
"") ;;
--without-lava)
    venv=.venv-newest
    with_lava=
    ;;
*)
    echo "error:  unknown option $1" >&2
    echo "remedy: none, or --without-lava" >&2
    exit 2
    ;;
esac

stamp=$venv/.sdt-lava-installed
wanted=$(cat pyproject.toml scripts/setup.sh constraints/*.txt | cksum)

if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

# Versions that constraints/ has a file for, the newest first.
minors=$(basename -a constraints/py3??.txt | sed 's/py3\(..\).txt/\1/' | sort -rn)

is_python() {
    "$1" -c "import sys; sys.exit(sys.version_info[:2] != (3, $2))" >/dev/null 2>&1
}

find_python() {
    local minor=$1 candidate
    for candidate in "${PYTHON:-}" "python3.$minor" python3 python \
        "$HOME"/.pyenv/versions/3."$minor".*/bin/python /opt/python/3."$minor".*/bin/python3 \
        "$([ -z "$uv" ] || "$uv" python find --no-python-downloads "3.$minor" 2>/dev/null)"; do
        if [ -n "$candidate" ] && is_python "$candidate" "$minor"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

# A uv that works here: a shim of another Python's may be on PATH without running.
find_uv() {
    local candidate
    for candidate in uv build/uv/bin/uv build/uv-lib/bin/uv "$HOME/.local/bin/uv" \
        "$HOME/.cargo/bin/uv" "$HOME"/.pyenv/versions/*/bin/uv; do
        if "$candidate" --version >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Sets uv to one in a small environment of its own, from any Python 3, if there is none yet.
need_uv() {
    [ -n "$uv" ] || uv=$(bootstrap_uv)
}

bootstrap_uv() {
    local python
    for python in python3 python3.13 python3.12 python3.11 python3.10 python; do
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

# Sets python and minor.
take() {
    minor=$1
    python=$(find_python "$minor")
}

# Sets python and minor, once uv has fetched what nobody has.
fetch() {
    minor=$1
    need_uv && echo "fetching Python 3.$minor with uv" >&2 &&
        "$uv" python install --quiet "3.$minor" >&2 &&
        python=$("$uv" python find "3.$minor")
}

choose_python() {
    local newest
    if [ -n "$with_lava" ]; then
        if take 10 || fetch 10; then
            return
        fi
        with_lava=
        echo "no Python 3.10: $venv gets a newer Python, without Lava" >&2
    fi
    for newest in $minors; do
        if [ -n "${PYTHON:-}" ] && is_python "$PYTHON" "$newest"; then
            take "$newest"
            return
        fi
    done
    for newest in $minors; do
        if take "$newest"; then
            return
        fi
    done
    fetch "${minors%%$'\n'*}"
}

make_venv() {
    if [ -x "$venv/bin/python" ] && is_python "$venv/bin/python" "$minor"; then
        return
    fi
    rm -rf "$venv"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        # Debian splits venv from python: uv makes one without it.
        rm -rf "$venv"
        need_uv
        "$uv" venv --quiet --python "$python" "$venv"
    fi
}

install() {
    local extras=dev constraints=constraints/py3$minor.txt
    if [ -n "$with_lava" ]; then
        extras=dev,lava
        constraints=constraints/py310-lava.txt
    fi
    local what=(--quiet --constraint "$constraints" --editable ".[$extras]")
    # uv links files that environments share; pip knows mirrors that uv may not, and may be held
    # to releases that uv is not.
    if [ -n "$uv" ] && "$uv" pip install --python "$venv/bin/python" "${what[@]}"; then
        return
    fi
    "$venv/bin/python" -m pip install --disable-pip-version-check "${what[@]}" || {
        need_uv
        "$uv" pip install --python "$venv/bin/python" "${what[@]}"
    }
}

mkdir -p build
uv=$(find_uv || true)
choose_python || {
    echo "error:  no Python from 3.10 on, and no way to fetch it" >&2
    echo "remedy: install Python or uv, or set PYTHON=/path/to/python" >&2
    exit 2
}
rm -f "$stamp"
make_venv
what_of_lava=$([ -n "$with_lava" ] && echo with || echo without)
echo "installing into $venv: Python 3.$minor $what_of_lava Lava (once)" >&2
install
echo "$wanted" >"$stamp"
