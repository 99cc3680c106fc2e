#!/usr/bin/env bash
# The house rules that no compiler checks: tests/lint.sh. Prints each breach as FILE:LINE: RULE and exits 1 if there is one.
#
# A line of code that must break a rule says so: "// lint-ok: REASON". A file that must be long says so at its top, in the
# comment that opens it: "Long because REASON". clang-format is only asked when it is installed; the other rules need
# grep, sed, awk and find alone. tests/tidy.sh runs clang-tidy, which takes minutes.
set -euo pipefail
export LC_ALL=C
cd "${GOMAI_SOURCE_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}"

breaches=0
breach() { printf '%s\n' "$1"; breaches=$((breaches + 1)); }
# sources FOLDER…: the C++ files in those of the folders that exist.
sources() { local folder; for folder in "$@"; do [ ! -d "$folder" ] || find "$folder" -name '*.cc' -o -name '*.h'; done | sort; }
# code FILE: its lines without the text of comments and strings; "" for one that is excused.
code() { sed -E '/\/\/ lint-ok: ./s/.*//; s/"(\\.|[^"\\])*"/""/g; s,//.*$,,' "$1"; }
# forbid RULE PATTERN FILE…: a breach for each line of code that PATTERN (extended) matches.
forbid() {
  local rule=$1 pattern=$2 file hit; shift 2
  for file in "$@"; do
    while IFS= read -r hit; do breach "$file:${hit%%:*}: $rule"; done < <(code "$file" | grep -nE "$pattern" || true)
  done
}

mapfile -t library < <(sources lib passes)
mapfile -t product < <(sources lib passes tools)
mapfile -t everything < <(sources lib passes tools tests examples)
mapfile -t silent < <(printf '%s\n' "${library[@]}" | grep -vxF lib/base/status.cc)  # CheckFailed's
[ ${#library[@]} -gt 20 ] || { echo "tests/lint.sh: no sources in $PWD" >&2; exit 2; }

# --- the library reports through Status and Diagnostics; only tools talk to people and end the process
forbid "the library doesn't print; report through Status or Diagnostics" \
  '(\bstd::(cout|cerr|clog)\b|\b(v?f?printf|f?puts|f?putc|perror|fmt::print(ln)?)\(|\bstd::print)' "${silent[@]}"
forbid "the library doesn't end the process; return a Status" '\b(_?_?exit|_Exit|quick_exit|abort|terminate)\(' "${silent[@]}"
forbid "the library doesn't throw; return a Status" '\bthrow\b' "${silent[@]}"

# --- each layer includes itself and those before it
layers=(base wire model graph runtime shape pass split compare npu)
layer_number() { local i; for i in "${!layers[@]}"; do [ "${layers[$i]}" != "$1" ] || { echo "$i"; return; }; done; echo -1; }
for file in "${library[@]}"; do
  case $file in
    lib/*) own=$(cut -d/ -f2 <<<"$file") ;;
    passes/*) own=split ;;  # passes come after lib/split: one cuts a model in two
  esac
  number=$(layer_number "$own")
  [ "$number" != -1 ] || breach "$file:1: lib/$own is no known layer; add it to lib/CMakeLists.txt and tests/lint.sh in its place"
  while IFS=: read -r line include; do
    included=$(sed -E 's,.*"lib/([^/"]*)/.*,\1,' <<<"$include")
    [ "$(layer_number "$included")" -le "$number" ] || breach "$file:$line: the layer $own must not include lib/$included"
  done < <(grep -nE '^#include "lib/' "$file" || true)
  while IFS=: read -r line _; do
    breach "$file:$line: the library must not include tools/ or tests/"
  done < <(grep -nE '^#include "(tools|tests|passes)/' "$file" || true)
done
for file in "${product[@]}"; do
  while IFS=: read -r line include; do
    breach "$file:$line: includes are written from the root: \"lib/…\", \"tools/…\", \"tests/…\""
  done < <(grep -nE '^#include "' "$file" | grep -vE '#include "(lib|tools)/' || true)
done

# --- general: what one family of models is called belongs in lib/split/presets
for file in "${product[@]}"; do
  while IFS=: read -r line _; do
    breach "$file:$line: a torchvision name or a model's size; such things are preset data (lib/split/presets)"
  done < <(grep -niE '(roi_heads|/rpn/|\bfpn\b|backbone|box_predictor|mask_predictor|box_head|keypoint_|/transform\b|box_roi_pool|cls_logits|bbox_pred|544 ?[x*] ?960|960 ?[x*] ?544|768 ?[x*] ?1344|755 ?[x*] ?1333)' "$file" \
    | grep -vF '// lint-ok: ' || true)
done

# --- one pass, one file, one golden case
for file in passes/*.cc; do
  [ -e "$file" ] || continue
  stem=$(basename "$file" .cc)
  compgen -G "tests/golden/$stem*" >/dev/null || breach "$file:1: the pass has no golden case: tests/golden/$stem…"
done

# --- small files
for file in tools/*.cc; do
  lines=$(wc -l <"$file")
  [ "$lines" -le 150 ] || grep -qm1 '^// .*[Ll]ong because' "$file" || breach "$file:$lines: a tool parses, calls the library and reports, in 150 lines"
done
for file in "${everything[@]}"; do
  lines=$(wc -l <"$file")
  limit=400; case $file in tests/*) limit=800 ;; esac  # a test file is a list of cases
  [ "$lines" -le $limit ] || head -n 12 "$file" | grep -q '^// .*[Ll]ong because' || breach "$file:$lines: over $limit lines; split it, or say at its top \"Long because …\""
done
for file in "${product[@]}"; do
  case $file in
    *.cc) head -n 1 "$file" | grep -q '^// ' || breach "$file:1: a source file opens with a comment: what it does, how, why so" ;;
    *.h) head -n 1 "$file" | grep -qx '#pragma once' || breach "$file:1: a header begins with #pragma once" ;;
  esac
done

# --- the text speaks of the project alone, on any machine
text_files() { find . \( -name build -o -name .git \) -prune -o -type f \( -name '*.md' -o -name '*.sh' -o -name '*.py' -o -name '*.cc' -o -name '*.h' -o -name '*.json' -o -name '*.txt' -o -name '*.cmake' -o -name '*.svg' -o -path './.ci/*' \) -print | sort; }
while IFS= read -r hit; do
  breach "${hit#./}: a path of one machine"
done < <(text_files | grep -vxF ./tests/lint.sh | xargs -d '\n' grep -nE '(^|[^A-Za-z0-9_.])/(work|root)(/|\b)|/home/[a-z]' | cut -d: -f1,2 || true)

# --- shell scripts fail loudly; python and shell name their interpreter
while IFS= read -r file; do
  case $file in
    ./tests/cli/*) ;;  # sourced, or run by ctest as bash FILE
    *) head -n 1 "$file" | grep -q '^#!' || breach "${file#./}:1: no #! line" ;;
  esac
  grep -qE '^ *set -[a-z]*u' "$file" || grep -qE '^(source|\.) ' "$file" || [ "$(wc -l <"$file")" -le 3 ] || breach "${file#./}:1: a shell script sets -u at least"
done < <(text_files | grep '\.sh$')

# --- tests that the list of faults names are there
while IFS= read -r named; do
  [ -e "$named" ] || breach "tests/regress/README.md: there is no $named"
done < <(grep -oE '`tests/[^`]*`' tests/regress/README.md | tr -d '`' | sort -u)

# --- layout
if command -v clang-format >/dev/null; then
  while IFS= read -r hit; do
    breach "$hit"
  done < <(clang-format --dry-run "${everything[@]}" 2>&1 | sed -nE 's/^([^ :]+:[0-9]+):[0-9]+: warning: code should be clang-formatted.*/\1: run clang-format -i/p' | sort -u)
else
  echo "tests/lint.sh: no clang-format here; layout is not checked"
fi

if [ "$breaches" != 0 ]; then echo "tests/lint.sh: $breaches breaches"; exit 1; fi
echo "tests/lint.sh: ${#everything[@]} source files follow the rules"
