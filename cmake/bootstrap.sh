#!/usr/bin/env bash
# Sets up what Gomai is built on, on a bare Debian 12 or later: cmake/bootstrap.sh [--without-onnxruntime] [--without-tests]
#
# What the system has, new enough, is used. What the distribution has is installed with apt. What this release of it lacks is
# taken from a newer suite of the same mirror (unpacked, not installed) or from PyPI, into ${XDG_CACHE_HOME:-~/.cache}/gomai;
# ONNX is built there once. Each step puts its result in place with one rename, so that an interrupted run is simply
# started again; a run with nothing to do takes about a second. Versions: cmake/versions.env.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gomai
downloads=$cache/downloads
with_onnxruntime=1
with_tests=1
for argument in "$@"; do
  case $argument in
    --without-onnxruntime) with_onnxruntime=0 ;;
    --without-tests) with_tests=0 ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "bootstrap: unknown argument '$argument' (--help shows the two there are)" >&2; exit 2 ;;
  esac
done
# shellcheck source=versions.env
source "$here/versions.env"
mkdir -p "$downloads"

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 2; }

# One at a time: two at once would build the same folders.
exec 9>"$cache/lock"
flock -n 9 || { say "another set-up is running; waiting for it"; flock 9; }

# as_root COMMAND…: runs it, or says what the person must run.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"
  else die "this needs root, and neither are you root nor does sudo work without a password. Run: $*"; fi
}

# quietly LOG COMMAND…: its output goes to LOG, and is shown only if it fails.
quietly() {
  local log=$1; shift
  if ! "$@" >"$log" 2>&1; then tail -n 40 "$log" >&2; die "failed: $* (all of its output: $log)"; fi
}

apt_updated=0
apt_install() {
  command -v apt-get >/dev/null || die "no apt-get here. Install these by hand, then run this again: $*"
  say "installing from the distribution: $*"
  if [ $apt_updated = 0 ]; then quietly "$cache/apt-update.log" as_root apt-get update; apt_updated=1; fi
  quietly "$cache/apt-install.log" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# --- 1. a compiler, build tools and python
newer() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }  # newer A B: A <= B
packages=()
command -v g++ >/dev/null || packages+=(g++)
command -v ninja >/dev/null || packages+=(ninja-build)
command -v git >/dev/null || packages+=(git)
command -v unzip >/dev/null || packages+=(unzip)
cmake_version=$(cmake --version 2>/dev/null | sed -n 's/cmake version //p' || true)
{ [ -n "$cmake_version" ] && newer "$CMAKE_MIN" "$cmake_version"; } || packages+=(cmake)
python=/usr/bin/python3
{ [ -x $python ] && $python -c 'import venv, ensurepip' 2>/dev/null; } || packages+=(python3 python3-venv)
[ ${#packages[@]} = 0 ] || apt_install "${packages[@]}"

# --- 2. what does CMake find?
probe_build=$cache/probe
probe() {
  rm -rf "$probe_build"
  if ! cmake -S "$here/probe" -B "$probe_build" -G Ninja >"$cache/probe.log" 2>&1; then
    cat "$cache/probe.log" >&2; die "CMake can't even look for dependencies (above)"
  fi
  sed -n 's/^gomai-probe //p' "$cache/probe.log"
}
found=$(probe)
has() { ! grep -q "^$1 - -" <<<"$found"; }

packages=()
has Protobuf || packages+=(libprotobuf-dev protobuf-compiler)
has absl || packages+=(libabsl-dev)
has fmt || packages+=(libfmt-dev)
has CLI11 || packages+=(libcli11-dev)
has nlohmann_json || packages+=(nlohmann-json3-dev)
has OpenSSL || packages+=(libssl-dev)
if ! command -v protoc >/dev/null && has Protobuf; then packages+=(protobuf-compiler); fi
[ ${#packages[@]} = 0 ] || apt_install "${packages[@]}"

# --- 3. from newer suites of the system's own mirror
# from_suite PACKAGE FOLDER SUITE…: unpacks PACKAGE from the first suite that has it into $cache/FOLDER.
from_suite() {
  local package=$1 folder=$2; shift 2
  local suite mirror apt=$cache/apt work=$cache/$folder.part
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    | awk '$3 == "main" && $2 !~ /security|updates|backports/ { print $1; exit }')
  [ -n "$mirror" ] || die "can't tell the system's Debian mirror from apt's sources; put $package into $cache/$folder by hand"
  for suite in "$@"; do
    mkdir -p "$apt/$suite/lists/partial" "$apt/$suite/cache/archives/partial"
    echo "deb $mirror $suite main" >"$apt/$suite/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$apt/$suite/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::Etc::preferencesparts=-"
      -o "Dir::State::lists=$apt/$suite/lists" -o "Dir::Cache=$apt/$suite/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
    say "looking for $package in the suite $suite"
    apt-get "${options[@]}" update >"$apt/$suite/update.log" 2>&1 || continue
    rm -rf "$work"; mkdir -p "$work/deb"
    (cd "$work/deb" && apt-get "${options[@]}" download "$package" >"$apt/$suite/download.log" 2>&1) || continue
    dpkg -x "$work"/deb/*.deb "$work"
    say "taking $(basename "$work"/deb/*.deb .deb) from the suite $suite"
    rm -rf "$work/deb" "${cache:?}/$folder"; mv "$work" "$cache/$folder"
    rm -rf "$apt"
    return 0
  done
  rm -rf "$work"
  return 1
}
if [ $with_tests = 1 ] && ! has Catch2; then
  # shellcheck disable=SC2086  # the suites are words
  from_suite libcatch2-dev catch2 $CATCH2_SUITES || die "no suite of the mirror has Catch2 >= $CATCH2_MIN ($CATCH2_SUITES)"
fi
if [ $with_tests = 1 ] && [ ! -d "$cache/onnx-testdata" ]; then
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
  from_suite libonnx-testdata onnx-testdata "$codename" bookworm trixie testing || die "no suite of the mirror has libonnx-testdata"
fi
if [ $with_onnxruntime = 1 ] && ! has OnnxRuntimeHeaders; then
  # shellcheck disable=SC2086
  from_suite libonnxruntime-dev onnxruntime-headers $ONNXRUNTIME_HEADER_SUITES \
    || say "no suite of the mirror has ONNX Runtime's headers; building without it: gomai-run and gomai-verify will say so"
fi

# --- 4. from PyPI
venv=$cache/venv
if [ ! -x "$venv/bin/pip" ]; then
  say "making a Python environment in $venv"
  rm -rf "$venv.part"; quietly "$cache/venv.log" $python -m venv --without-pip "$venv.part"
  # Moved environments keep old paths in their scripts, so it is remade in place once all that can fail has been tried.
  rm -rf "$venv" "$venv.part"; quietly "$cache/venv.log" $python -m venv "$venv"
fi
pip_install() { quietly "$cache/pip-$1.log" "$venv/bin/pip" install --quiet --disable-pip-version-check "$1==$2"; }
"$venv/bin/python" -c "import numpy, sys; sys.exit(numpy.__version__ != '$NUMPY_VERSION')" 2>/dev/null \
  || { say "taking numpy $NUMPY_VERSION from PyPI"; pip_install numpy "$NUMPY_VERSION"; }

if [ $with_onnxruntime = 1 ] && ! has OnnxRuntimeLibrary; then
  say "taking ONNX Runtime $ONNXRUNTIME_VERSION from PyPI"
  part=$cache/onnxruntime-$ONNXRUNTIME_VERSION.part
  rm -rf "$part"; mkdir -p "$part"
  quietly "$cache/onnxruntime.log" "$venv/bin/pip" download --quiet --no-deps --dest "$downloads" "onnxruntime==$ONNXRUNTIME_VERSION"
  unzip -q -j -o "$downloads/onnxruntime-$ONNXRUNTIME_VERSION"-*.whl 'onnxruntime/capi/libonnxruntime.so*' 'onnxruntime/LICENSE' -d "$part"
  rm -rf "${cache:?}/onnxruntime-$ONNXRUNTIME_VERSION"; mv "$part" "$cache/onnxruntime-$ONNXRUNTIME_VERSION"
  rm -f "$downloads/onnxruntime-$ONNXRUNTIME_VERSION"-*.whl
fi

# --- 5. ONNX, built from its source distribution
if ! has ONNX; then
  sdist=$downloads/onnx-$ONNX_VERSION.tar.gz
  if ! echo "$ONNX_SHA256  $sdist" | sha256sum --check --status 2>/dev/null; then
    say "taking the source of ONNX $ONNX_VERSION from PyPI"
    rm -f "$sdist"
    # pip would build a source distribution's metadata only to throw it away; its build requirements come along for that.
    quietly "$cache/onnx-download.log" "$venv/bin/pip" download --quiet --no-deps --no-binary onnx --dest "$downloads" "onnx==$ONNX_VERSION"
    echo "$ONNX_SHA256  $sdist" | sha256sum --check --status || die "$sdist isn't the file that cmake/versions.env pins; delete it and try again"
  fi
  builder=cmake
  if newer 3.26 "$(cmake --version | sed -n 's/cmake version //p')"; then :; else
    if [ ! -x "$venv/bin/cmake" ]; then say "taking CMake $PIP_CMAKE_VERSION from PyPI: ONNX needs 3.26"; pip_install cmake "$PIP_CMAKE_VERSION"; fi
    builder=$venv/bin/cmake
  fi
  source_dir=$cache/onnx-$ONNX_VERSION-source
  build_dir=$cache/onnx-$ONNX_VERSION-build
  if [ ! -d "$source_dir" ]; then
    rm -rf "$source_dir.part"; mkdir "$source_dir.part"
    tar -xzf "$sdist" -C "$source_dir.part" --strip-components=1
    mv "$source_dir.part" "$source_dir"
  fi
  say "building ONNX $ONNX_VERSION (once; a minute or two on 2 cores)"
  quietly "$cache/onnx-configure.log" "$builder" -G Ninja -S "$source_dir" -B "$build_dir" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" -DCMAKE_CXX_STANDARD=20 -DONNX_USE_UNITY_BUILD=ON -DONNX_BUILD_PYTHON=OFF \
    -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DPython3_EXECUTABLE="$venv/bin/python" \
    -DCMAKE_INSTALL_PREFIX="$cache/onnx-$ONNX_VERSION"
  quietly "$cache/onnx-build.log" "$builder" --build "$build_dir"
  # Installed elsewhere and renamed: a half-done install must not look like a whole one.
  rm -rf "$cache/onnx-$ONNX_VERSION.part"
  quietly "$cache/onnx-install.log" "$builder" --install "$build_dir" --prefix "$cache/onnx-$ONNX_VERSION.part"
  cp -r "$source_dir/onnx/backend/test/data" "$cache/onnx-$ONNX_VERSION.part/test-models"
  rm -rf "${cache:?}/onnx-$ONNX_VERSION"; mv "$cache/onnx-$ONNX_VERSION.part" "$cache/onnx-$ONNX_VERSION"
  rm -rf "$build_dir" "$source_dir"
fi

# --- 6. what the build will use, and where from
found=$(probe)
missing=0
while read -r name version where; do
  if [ "$version" = - ]; then
    case $name in
      OnnxRuntime*) say "$(printf '%-20s none: gomai-run and gomai-verify will say so' "$name")" ;;
      Catch2) [ $with_tests = 0 ] || { say "$name: still missing"; missing=1; } ;;
      *) say "$name: still missing"; missing=1 ;;
    esac
  else
    say "$(printf '%-20s %-14s %s' "$name" "$version" "$where")"
  fi
done <<<"$found"
[ $missing = 0 ] || die "not complete; see above and $cache/probe.log"
