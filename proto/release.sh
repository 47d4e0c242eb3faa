#!/bin/sh
# Records the schema as it is released, so that a test holds every later one against it.
# usage: proto/release.sh VERSION   (as v1; writes proto/released/VERSION.txt: a FileDescriptorSet in protobuf's text format)
# A schema that was released stays: a file that is there is not written again.
set -eu
if [ $# -ne 1 ]; then
  sed -n '3p' "$0" >&2
  exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
well_known=/usr/include
file="$here/released/$1.txt"
if [ -e "$file" ]; then
  echo "release: $file is there already; a released schema does not change, give it a new version" >&2
  exit 73
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$here"
protoc --proto_path=. --proto_path="$well_known" --include_imports --descriptor_set_out="$work/set" \
  $(find . -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort)
mkdir -p released
protoc --proto_path="$well_known" --decode=google.protobuf.FileDescriptorSet google/protobuf/descriptor.proto \
  < "$work/set" > "$work/text"
mv "$work/text" "$file"
echo "$file: $(grep -c '^ *field {' "$file") fields"
