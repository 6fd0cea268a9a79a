#!/usr/bin/env bash
# Write constraints/: the exact versions that the tests run with, for each Python.
#
#   scripts/constraints.sh              add what pyproject.toml asks for since, keep all else
#   scripts/constraints.sh --upgrade    the newest of everything
#
# Runs uv, which needs none of the Pythons. No addresses get into the files.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    local file=$1 version=$2
    shift 2
    uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --no-emit-package pip \
        --python-version "$version" --extra dev --extra events "${options[@]}" "$@" \
        --output-file "constraints/$file.txt" pyproject.toml
}

options=("$@")
compile py310-lava 3.10 --extra lava
for minor in 10 11 12 13; do
    compile "py3$minor" "3.$minor"
done
