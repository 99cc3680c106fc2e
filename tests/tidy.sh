#!/usr/bin/env bash
# clang-tidy over the sources, by .clang-tidy: tests/tidy.sh [--build DIR] [FILE…]; without files, all of lib, passes and tools.
#
# Takes minutes, so it is no ctest test. DIR (default: build/release) must be configured: its compile_commands.json says
# how each file is compiled. Exits 1 if there is a finding.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/release
files=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) [ $# -gt 1 ] || { echo "tests/tidy.sh: --build needs a folder" >&2; exit 2; }; build=$2; shift ;;
    -h|--help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) echo "tests/tidy.sh: unknown argument '$1' (--help shows what there is)" >&2; exit 2 ;;
    *) files+=("$1") ;;
  esac
  shift
done
command -v clang-tidy >/dev/null || { echo "tests/tidy.sh: no clang-tidy here; install the package clang-tidy" >&2; exit 2; }
[ -e "$build/compile_commands.json" ] || { echo "tests/tidy.sh: $build isn't configured; run cmake --preset release" >&2; exit 2; }
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(find lib passes tools -name '*.cc' | sort)

# g++'s warning flags that clang doesn't know are no findings.
if printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option 2>&1 \
    | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter|^$'; [ "${PIPESTATUS[1]}" != 0 ]; then
  echo "tests/tidy.sh: findings (above)"; exit 1
fi
echo "tests/tidy.sh: nothing found in ${#files[@]} files"
