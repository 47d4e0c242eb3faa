#!/usr/bin/env bash
# Sees to it that everything a build, the tests and the demo need is there, and installs what is missing on Debian.
# usage: Tests/setup.sh
# Where nothing is missing, nothing is asked of the package manager and no network is needed.
set -euo pipefail

minimum_swift=6.2

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# Each line: a Debian package, and the command that succeeds where what we want of it is there.
requirements=(
  # What a bare Swift toolchain itself needs to run, compile and link.
  "libncurses6          shared_library libncurses.so.6"
  "libcurl4             shared_library libcurl.so.4"
  "libxml2              shared_library libxml2.so.2"
  "libedit2             shared_library libedit.so.2"
  "libsqlite3-0         shared_library libsqlite3.so.0"
  "binutils             command -v ld"
  "libc6-dev            test -e /usr/include/stdio.h"
  "libstdc++-12-dev     compgen -G '/usr/lib/gcc/*/*/libstdc++.so'"
  "git                  command -v git"
  "tzdata               test -e /usr/share/zoneinfo/UTC"
  # The libraries of Baton.
  "pkg-config           command -v pkg-config"
  "libsqlite3-dev       pkg-config --exists sqlite3"
  "libprotobuf-c-dev    pkg-config --exists libprotobuf-c"
  "libmd-dev            pkg-config --exists libmd"
  # The generator of its C code, which a test runs.
  "libprotobuf-dev      test -e /usr/include/google/protobuf/any.proto"
  "protobuf-compiler    command -v protoc"
  "protobuf-c-compiler  command -v protoc-c"
  # What tests and the demo call.
  "socat                command -v socat"
  "procps               command -v ps"
  "jq                   command -v jq"
)

shared_library() {
  PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -F "$1 (" >/dev/null
}

missing_packages() {
  local line package check
  for line in "${requirements[@]}"; do
    read -r package check <<<"$line"
    eval "$check" >/dev/null 2>&1 || printf '%s\n' "$package"
  done
}

install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    # Without a terminal there is nobody to type a password: sudo must do without.
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      fail "these Debian packages are missing: $*. As root: apt-get install $*"
    fi
  fi
  command -v apt-get >/dev/null \
    || fail "these are missing (Debian's package names): $*. Install them with your system's package manager."
  printf 'setup: installing %s\n' "$*"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

check_swift() {
  command -v swift >/dev/null \
    || fail "no swift in PATH. Install a Swift ${minimum_swift} (or later) toolchain from https://swift.org/install" \
      "and put its usr/bin in PATH."
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p')
  [ -n "$version" ] || fail "$(command -v swift) does not run: $(swift --version 2>&1 | tail -n 1)"
  [ "$(printf '%s\n' "$minimum_swift" "$version" | sort -V | head -n 1)" = "$minimum_swift" ] \
    || fail "Swift ${minimum_swift} or later is needed; $(command -v swift) is ${version}."
}

mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -gt 0 ]; then
  install_packages "${missing[@]}"
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -eq 0 ] || fail "still missing after the installation: ${missing[*]}"
fi
check_swift
