#!/usr/bin/env bash
# From a bare machine to all tests run: tests/run.sh [--asan] [-- CTEST-ARGUMENT…]
#
# Sets up the dependencies, builds the preset `release` (with --asan: the preset `asan`, AddressSanitizer and
# UndefinedBehaviorSanitizer) and runs every test through ctest, whose summary comes last. Exit code: ctest's.
#
#   tests/run.sh -- -R wire          only the tests whose name has "wire" in it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=release
while [ $# -gt 0 ]; do
  case $1 in
    --asan) preset=asan ;;
    --) shift; break ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "tests/run.sh: unknown argument '$1' (--help shows what there is)" >&2; exit 2 ;;
  esac
  shift
done

jobs=$(nproc)
cmake/bootstrap.sh
configure=()
if command -v ccache >/dev/null; then configure+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset "$preset" "${configure[@]}"
cmake --build --preset "$preset" --parallel "$jobs"
exec ctest --preset "$preset" --parallel "$jobs" --no-tests=error "$@"
