#!/bin/sh
# The same checks for people, hooks and CI: format, lint, types, import contracts, dead code, the rules of the house.
# Runs them all, then says which failed. Called by `make check`; needs `make setup`.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=""

run() {
  name=$1
  shift
  echo "== $name"
  "$@" || failed="$failed, $name"
}

run format $bin/ruff format --check --quiet .
run lint $bin/ruff check --quiet .
run types $bin/mypy
run "import contracts" $bin/lint-imports --no-logo
run "dead code" $bin/vulture
run house $bin/python -m pytest -q tests/test_house.py

if [ -n "$failed" ]; then
  echo "check: failed:${failed#,}"
  exit 1
fi
echo "check: all passed"
