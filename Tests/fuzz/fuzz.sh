#!/usr/bin/env bash
# Fuzzes the wire, the decoder, the console and whole conversations (libFuzzer, address sanitizer).
# usage: Tests/fuzz/fuzz.sh SECONDS
# Inputs are kept as text in Tests/fuzz/corpus; what a run finds new stays in .build/fuzz/corpus for the next one.
# An input that breaks something is printed as text: put it into the corpus with the fix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-60}
scratch=.build/fuzz
FUZZ=1 swift build --scratch-path "$scratch" --product fuzz --sanitize=address -Xswiftc -sanitize=fuzzer
built=$(swift build --scratch-path "$scratch" --show-bin-path)
swiftc -sanitize=fuzzer,address -use-ld=lld "$built/libfuzz.a" -lsqlite3 -lprotobuf-c -lmd -o "$built/fuzz"
mkdir -p "$scratch/kept" "$scratch/corpus" "$scratch/crashes"
for file in Tests/fuzz/corpus/*.hex; do
  basenc --base16 --decode --ignore-garbage "$file" > "$scratch/kept/$(basename "$file" .hex)"
done
# Our arenas and SQLite's caches live as long as the process: what counts is memory out of bounds.
if ! ASAN_OPTIONS=detect_leaks=0 "$built/fuzz" \
  -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
  -artifact_prefix="$scratch/crashes/" "$scratch/corpus" "$scratch/kept"; then
  for crash in "$scratch"/crashes/*; do
    echo "fuzz: $crash breaks it; as text for Tests/fuzz/corpus:" >&2
    basenc --base16 "$crash" >&2
  done
  exit 1
fi
