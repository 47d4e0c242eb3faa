#!/usr/bin/env bash
# Builds what one might pick instead of Baton, for the benchmark to stand beside: those whose Debian packages are there.
# usage: Tests/bench/peers/build.sh DIRECTORY
# Says which it left out and what to install. Nothing here is part of Baton.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
to=$1
mkdir -p "$to"
peers=Tests/bench/peers

left_out() {
  rm -f "$to/$1"
  printf 'bench: without %s; to have it beside: apt-get install %s\n' "$2" "$3"
}

# has COMMAND...: whether all of them are there.
has() {
  local name
  for name in "$@"; do command -v "$name" >/dev/null || return 1; done
}

newer() {
  [ -x "$1" ] && [ -z "$(find "$peers" proto -newer "$1" -type f)" ]
}

if has g++ protoc grpc_cpp_plugin && pkg-config --exists grpc++ protobuf; then
  if ! newer "$to/grpc-peer"; then
    mkdir -p "$to/generated"
    protoc -I proto --cpp_out="$to/generated" --grpc_out="$to/generated" \
      --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" \
      proto/baton/v1/*.proto
    # shellcheck disable=SC2046
    g++ -std=c++17 -O2 -I "$to/generated" -I "$peers" "$peers/grpc_peer.cpp" "$to"/generated/baton/v1/*.cc \
      $(pkg-config --cflags --libs grpc++ protobuf) -o "$to/grpc-peer"
  fi
else
  left_out grpc-peer 'gRPC C++' 'g++ libgrpc++-dev protobuf-compiler-grpc'
fi

if has g++ redis-server; then
  newer "$to/redis-peer" || g++ -std=c++17 -O2 -I "$peers" "$peers/redis_peer.cpp" -o "$to/redis-peer"
else
  left_out redis-peer 'Redis' 'g++ redis-server'
fi
