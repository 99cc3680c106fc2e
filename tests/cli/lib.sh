# Sourced by the command-line tests: a folder of their own ($tmp), and `expect`, which runs a command and checks its exit
# code and what it says.
set -u
bin=${GOMAI_BIN:?run through ctest, or set GOMAI_BIN to the folder of the programs}
source_dir=${GOMAI_SOURCE_DIR:?run through ctest, or set GOMAI_SOURCE_DIR}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0
checks=0
tiny=$source_dir/examples/models/maskrcnn_tiny_op13.onnx
export tiny source_dir

fail() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n' "$*"
}

# expect EXIT TEXT COMMAND…: stdout and stderr together must hold TEXT ('' for anything); both are kept in $output.
expect() {
  local code=$1 text=$2
  shift 2
  checks=$((checks + 1))
  output=$("$@" 2>&1)
  local got=$?
  if [ $got != "$code" ]; then
    fail "exit $got, not $code: $*"
    printf '%s\n' "$output" | head -n 20
  elif [ -n "$text" ] && ! grep -qF -- "$text" <<<"$output"; then
    fail "the output doesn't say \"$text\": $*"
    printf '%s\n' "$output" | head -n 20
  fi
}

# check TEXT COMMAND…: COMMAND must succeed; TEXT says what it checks.
check() {
  local text=$1
  shift
  checks=$((checks + 1))
  "$@" >/dev/null 2>&1 || fail "$text ($*)"
}

finish() {
  echo "$checks checks, $failures failed"
  [ $failures = 0 ] && [ $checks -gt 0 ]
  exit
}
