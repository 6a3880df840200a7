#!/bin/sh
# Pins what pyproject.toml names: requirements.lock (the node) and requirements-dev.lock (tests and checks as well).
# Present pins stay unless the arguments, which go to pip-compile, say otherwise. Called by `make lock`.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

names() {
  python - "$1" <<'PY'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
names = project["project"]["dependencies"] + project["build-system"]["requires"]
print("\n".join(names + (project["dependency-groups"]["dev"] if sys.argv[1] == "dev" else [])))
PY
}

pin() { # pin NAME LOCKFILE [pip-compile arguments]
  name=$1 lock=$2
  shift 2
  names "$name" > "$work/$name.in"
  cp "$lock" "$work/$name.lock"
  pip-compile --quiet --no-header --generate-hashes --allow-unsafe --strip-extras --annotation-style=line \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
    "$@" --output-file "$work/$name.lock" "$work/$name.in"
  { head -n 2 "$lock"; echo; grep -Ev '^(#|$)' "$work/$name.lock" | sed "s#-r $work/$name.in#pyproject.toml#"; } > "$work/new"
  cat "$work/new" > "$lock"
}

pin node requirements.lock "$@"
pin dev requirements-dev.lock "$@"
