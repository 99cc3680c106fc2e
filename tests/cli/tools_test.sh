#!/usr/bin/env bash
# What all tools have in common: help, version, response files, completion, JSON after errors, did-you-mean, exit codes.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools=()
for source in "$source_dir"/tools/*.cc; do
  tools+=("$(basename "$source" .cc | tr _ -)")
done
check 'there are tools' test ${#tools[@]} -gt 3

# json TEXT: stdout of the last `captured` command is one JSON document that holds TEXT.
captured() { "$@" >"$tmp/stdout" 2>"$tmp/stderr"; }
one_document() { python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$tmp/stdout"; }

for tool in "${tools[@]}"; do
  program=$bin/$tool
  expect 0 "Usage: $tool" "$program" --help
  expect 0 "$tool 0.1.0" "$program" --version
  check "$tool --version says no more" test "$("$program" --version)" = "$tool 0.1.0"

  # completion: the scripts load, and know the flags
  "$program" --completion bash >"$tmp/completion.bash"
  check "$tool's bash completion is a script" bash -n "$tmp/completion.bash"
  completes() { bash -c "source '$tmp/completion.bash'; COMP_WORDS=($tool --js); COMP_CWORD=1; _${tool//-/_}; echo \"\${COMPREPLY[@]}\""; }
  check "$tool completes --js to --json" test "$(completes)" = --json
  expect 0 "#compdef $tool" "$program" --completion zsh
  expect 2 'bash and zsh' "$program" --completion fish

  # a misspelt flag: exit 2, the nearest one, and with --json a document all the same
  expect 2 "did you mean '--verbose'" "$program" --verbos
  captured "$program" --json --verbos
  check "$tool prints one JSON document after a wrong flag" one_document
  check "$tool says exit_code 2 there" grep -q '"exit_code": 2' "$tmp/stdout"
  check "$tool says what is wrong on stderr too" grep -q "$tool: .*--verbos" "$tmp/stderr"
  captured "$program" --verbos
  check "$tool keeps errors off stdout" test ! -s "$tmp/stdout"
  captured "$program" -q --verbos
  check "$tool -q doesn't silence errors" test -s "$tmp/stderr"
done

# --- response files: one argument a line, as it is; "--" ends them
printf '%s\n' "$tiny" --dry-run -p 'rename{image=a b}' >"$tmp/arguments.txt"
expect 0 'image -> a b' "$bin/gomai-opt" -v "@$tmp/arguments.txt"
printf '%s\r\n' "$tiny" --dry-run >"$tmp/dos.txt"
expect 0 'nothing is written' "$bin/gomai-opt" "@$tmp/dos.txt"
expect 2 "can't open '$tmp/no-such-file'" "$bin/gomai-opt" "@$tmp/no-such-file"
cp "$tiny" "$tmp/@model.onnx"
expect 0 'nothing is written' env -C "$tmp" "$bin/gomai-opt" --dry-run -- @model.onnx

# --- names that aren't UTF-8 come out as JSON, with the bad bytes replaced
captured "$bin/gomai-opt" --json "$tmp/$(printf 'no\xff\xfe.onnx')" --dry-run
check 'bytes that are not UTF-8 give valid JSON' one_document

# --- warnings are in the document, not among text on stdout
printf '<ir_version: 8, opset_import: ["" : 17]>\nmain (float[2] x) => (float[2] y) { y = Relu (a) a = Relu (x) }\n' >"$tmp/order.onnxtxt"
captured "$bin/gomai-opt" --json --dry-run "$tmp/order.onnxtxt" -p prune
check 'with a warning there is one document' one_document
check 'and it holds the warning' grep -q '"severity": "warning"' "$tmp/stdout"
check '-q silences warnings' test -z "$("$bin/gomai-opt" -q --dry-run "$tmp/order.onnxtxt" -p prune 2>&1)"

# --- stdout that can't be written is trouble, not success
to_full() { "$bin/gomai-opt" --list-passes >/dev/full; }
expect 2 "can't write" to_full

finish
