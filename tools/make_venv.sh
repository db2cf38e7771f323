#!/usr/bin/env bash
# Makes .venv with exactly the pinned packages, and writes the stamp last: a run that was cut short is finished by the next.
# Where packages come from is the machine's business (pip's and uv's own settings); where they go to is ours.
set -euo pipefail

venv=${1:?folder of the environment}
stamp=${2:?file to write when the environment is complete}
requirements=requirements-dev.txt

unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH \
  PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_PYTHON PIP_NO_BINARY PIP_REQUIRE_VIRTUALENV PIP_CONSTRAINT PIP_DRY_RUN \
  UV_PYTHON UV_SYSTEM_PYTHON UV_TARGET UV_PREFIX UV_PROJECT_ENVIRONMENT UV_CONSTRAINT UV_OVERRIDE UV_NO_BINARY

usable() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14; do
    if usable "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "Tally needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv)." >&2
  echo "Found: $(${PYTHON:-python3} --version 2>&1 || true). Name another with: make PYTHON=/path/to/python3.11" >&2
  return 1
}

# uv reads none of pip's settings, so a machine that points only pip at its mirror would send uv elsewhere.
follow_pip_settings() {
  local index
  if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}${UV_CONFIG_FILE:-}" ]; then
    index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
  fi
  if [ -z "${SSL_CERT_FILE:-}" ] && [ -f "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi
  export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}"
}

rm -f "$stamp"
if ! { usable "$venv/bin/python" && "$venv/bin/python" -m pip --version; } >/dev/null 2>&1; then
  python=$(find_python)
  echo "making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi

follow_pip_settings
mkdir -p "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv}" 2>/dev/null || export UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

uv_pin=$(mktemp)
trap 'rm -f "$uv_pin"' EXIT
sed -n '/^uv==/,/^[a-z]/{/^uv==/p;/^ *--hash/p;}' "$requirements" | sed '$ s/ *\\$//' >"$uv_pin"
pip install --quiet --require-hashes --no-deps --requirement "$uv_pin"

# Compiled once: else every process of the stack and of the tests does it anew where Python may not write beside its sources.
if ! "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes --requirement "$requirements"; then
  echo "uv could not install; trying pip with the same pins" >&2
  pip install --quiet --require-hashes --requirement "$requirements"
fi
pip install --quiet --no-deps --no-build-isolation --no-index --editable .

touch "$stamp"
