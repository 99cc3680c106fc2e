#!/usr/bin/env bash
# An installation is complete and stands alone: into a temporary prefix, moved from there, examples/library is configured, built
# and run against it, and what is installed of the headers includes nothing that is not.
#
# Static or shared is as the build at hand was configured. A build of the other kind compiles everything anew (position-
# independent), which takes minutes, so it isn't made here: configure with -DGOMAI_SHARED=ON and run this test there.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build=$(dirname "$bin")
cached() { sed -nE "s/^$1:[A-Z]+=//p" "$build/CMakeCache.txt"; }
type=$(cached CMAKE_BUILD_TYPE)
configure=(-G Ninja "-DCMAKE_CXX_COMPILER=$(cached CMAKE_CXX_COMPILER)" "-DCMAKE_BUILD_TYPE=$type" "-DCMAKE_CXX_FLAGS=$(cached CMAKE_CXX_FLAGS)"
  "-DCMAKE_CXX_FLAGS_${type^^}=$(cached "CMAKE_CXX_FLAGS_${type^^}")")  # a sanitized library needs a sanitized program
shared=$(cached GOMAI_SHARED)

expect 0 '' cmake --install "$build" --prefix "$tmp/first"
mv "$tmp/first" "$tmp/prefix"
prefix=$tmp/prefix
library=$(dirname "$(find "$prefix" -name 'libgomai.*' | head -n 1)")

# --- what is there
for tool in "$source_dir"/tools/*.cc; do
  program=$(basename "$tool" .cc | tr _ -)
  expect 0 "$program" "$prefix/bin/$program" --version
done
check 'the licence is there' cmp "$source_dir/LICENSE" "$prefix/share/doc/gomai/LICENSE"
check 'the notices are there' test -s "$prefix/share/doc/gomai/NOTICE"
check 'the documents are there' test -s "$prefix/share/doc/gomai/docs/library.md"
check 'a public header is there' cmp "$source_dir/lib/graph/index.h" "$prefix/include/gomai/lib/graph/index.h"
expect 1 '' grep -rlE 'Internal to$|Internal to lib/|Not for others' "$prefix/include/gomai"
for internal in lib/graph/edits.h lib/model/gather.h lib/compare/graph_diff.h lib/runtime/onnxruntime_internal.h; do
  check "$internal stays in the sources" test -e "$source_dir/$internal" -a ! -e "$prefix/include/gomai/$internal"
done
expect 1 '' grep -rlF "$source_dir" "$library" --include='*.cmake'  # nothing leads back to the sources
if [ "$shared" = ON ]; then
  check 'libgomai.so leads to its SONAME' test -L "$library/libgomai.so"
  version=$(sed -nE 's/^set\(PACKAGE_VERSION "([0-9.]+)"\)/\1/p' "$library/cmake/gomai/gomaiConfigVersion.cmake")
  check 'the file is named by its version' test -f "$library/libgomai.so.$version"
  expect 0 "[libgomai.so.${version%.*}]" readelf -d "$library/libgomai.so"
  expect 0 "libgomai.so.${version%.*} => " ldd "$prefix/bin/gomai-opt"
  found=$(sed -nE 's/^\s*libgomai\.so\S* => (\S+) .*/\1/p' <<<"$output")
  check 'programs find the library beside them' test "$(realpath "$found")" = "$(realpath "$library/libgomai.so")"
  for file in "$prefix/bin/gomai-opt" "$library/libgomai.so"; do
    readelf -d "$file" >"$tmp/dynamic"
    expect 1 '' grep -E 'R(UN)?PATH.*\[([^$]|.*:[^$])' "$tmp/dynamic"  # where it was built means nothing elsewhere
  done
else
  check 'there is one static library' test -f "$library/libgomai.a"
fi

# --- a program of one's own
cp -r "$source_dir/examples/library" "$tmp/example"
expect 0 '' cmake -S "$tmp/example" -B "$tmp/example/build" "${configure[@]}" "-DCMAKE_PREFIX_PATH=$prefix"
expect 0 '' cmake --build "$tmp/example/build"
fillet=$tmp/example/build/fillet
# Every pass is there, though the program names none: some by running, all in the registry.
expect 0 'strip-doc-strings: ' "$fillet" "$tiny" 'prune,fold-identity,dedupe-initializers,strip-doc-strings' torchvision-maskrcnn "$tmp/parts"
expect 0 'backbone_rpn.onnx: ' "$fillet" "$tiny" '' torchvision-maskrcnn "$tmp/parts"
expect 0 '' "$prefix/bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn -o "$tmp/by-tool"
expect 0 '' diff -r "$tmp/by-tool" "$tmp/parts"  # byte for byte what the program gomai-split writes
expect 2 "fillet: " "$fillet" "$tiny" 'no-such-pass' torchvision-maskrcnn "$tmp/parts"
expect 2 "no-such-preset" "$fillet" "$tiny" '' no-such-preset "$tmp/parts"

# --- every public header, and every pass, from the outside
mkdir "$tmp/headers"
(cd "$prefix/include/gomai" && find lib -name '*.h' | sort -r | sed 's/.*/#include "&"/') >"$tmp/headers/headers.cc"
expect 0 '#include "lib/graph/index.h"' cat "$tmp/headers/headers.cc"
cat >"$tmp/headers/passes.cc" <<'CPP'
#include <cstdio>
#include "lib/pass/pass.h"
int main() {
  for (const gomai::PassInfo* pass : gomai::AllPasses()) std::puts(std::string(pass->name).c_str());
}
CPP
cat >"$tmp/headers/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(headers LANGUAGES CXX)
find_package(gomai REQUIRED)
add_executable(passes passes.cc headers.cc)
target_link_libraries(passes PRIVATE gomai::gomai)
CMAKE
expect 0 '' cmake -S "$tmp/headers" -B "$tmp/headers/build" "${configure[@]}" "-DCMAKE_PREFIX_PATH=$prefix"
expect 0 '' cmake --build "$tmp/headers/build"
expect 0 '' "$tmp/headers/build/passes"
check 'every pass is in the library' diff <(printf '%s\n' "$output" | sort) <(basename -s .cc "$source_dir"/passes/*.cc | tr _ - | sort)

# --- another version is refused, of Gomai and of ONNX
sed -i 's/find_package(gomai 0.1/find_package(gomai 99.0/' "$tmp/example/CMakeLists.txt"
expect 1 'version "99.0"' cmake -S "$tmp/example" -B "$tmp/example/other" "${configure[@]}" "-DCMAKE_PREFIX_PATH=$prefix"
mkdir "$tmp/onnx"
echo 'set(ONNX_VERSION 0.1)' >"$tmp/onnx/ONNXConfig.cmake"
expect 1 "was built with ONNX" cmake -S "$tmp/headers" -B "$tmp/headers/other" "${configure[@]}" "-DCMAKE_PREFIX_PATH=$prefix" "-DONNX_DIR=$tmp/onnx"
finish
