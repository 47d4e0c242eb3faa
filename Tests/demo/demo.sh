#!/usr/bin/env bash
# A rolling upgrade of real processes: four workers of version 1 are relieved by two of version 2. Exits with 1 when
# anything did not happen as it should. Nothing here waits for time to pass: each step waits for an event.
# usage: Tests/demo/demo.sh DIRECTORY_OF_PROGRAMS
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=$(cd "${1:?usage: demo.sh DIRECTORY_OF_PROGRAMS}" && pwd)
PATH=$programs:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/baton-demo.XXXXXX")
export BATON_SOCKET=$work/baton.sock BATON_STATE_DIR=$work/state
patience_seconds=20

if [ -t 1 ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() {
  printf '%s$ %s%s\n' "$dim" "$*" "$plain"
  "$@"
}
fail() {
  printf '\n%sThe demo failed: %s%s\n' "$red" "$*" "$plain" >&2
  printf 'The log of batond:\n' >&2
  tail -n 40 "$work/batond.log" >&2 || true
  exit 1
}

declare -A process_of=()
clean_up() {
  local code=$? name
  trap - EXIT
  for name in "${!process_of[@]}"; do
    kill "${process_of[$name]}" 2>/dev/null || true
  done
  wait
  rm -rf "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- the daemon, and its events ---------------------------------------------------------------------------------

start_daemon() {
  mkfifo "$work/log"
  batond 2>"$work/log" &
  process_of[batond]=$!
  local line log
  exec {log}<"$work/log"
  while IFS= read -r -t "$patience_seconds" -u "$log" line; do
    printf '%s\n' "$line" >>"$work/batond.log"
    [[ $line == *listening* ]] && break
  done
  [[ ${line-} == *listening* ]] || fail 'batond did not start'
  # What it says from here on must be read, or it would wait for us.
  cat <&"$log" >>"$work/batond.log" &
  exec {log}<&-
}

follow_events() {
  mkfifo "$work/events"
  baton watch --from 0 --json >"$work/events" &
  process_of[watch]=$!
  exec {events}<"$work/events"
}

# await COUNT KIND [VERSION]: tells each event as it comes, until there were COUNT of that kind and version in all.
declare -A seen=()
await() {
  local count=$1 kind=$2 version=${3:-any} line
  while [ "${seen[$kind/$version]:-0}" -lt "$count" ]; do
    IFS= read -r -t "$patience_seconds" -u "$events" line \
      || fail "waited for $count x $kind of version $version, saw ${seen[$kind/$version]:-0}"
    tell "$line"
  done
}

tell() {
  local kind version runner detail
  IFS=$'\t' read -r kind version runner detail < <(
    jq -r '[(.kind | ltrimstr("EVENT_KIND_")), (.version // "-"), (.runnerId // "-"), (.detail // "-")] | @tsv' <<<"$1"
  )
  for version_seen in "$version" any; do
    seen[$kind/$version_seen]=$((${seen[$kind/$version_seen]:-0} + 1))
  done
  printf '  %s%-18s%s runner %-2s version %-2s %s\n' "$green" "${kind,,}" "$plain" "$runner" "$version" "$detail"
}

# --- the workers ------------------------------------------------------------------------------------------------

# start_worker NAME VERSION BOUND: a greater bound makes longer jobs.
start_worker() {
  baton run --name encoder --version "$2" --slots 1 -- "$here/worker.sh" "$work/journal" "$3" \
    2>>"$work/wrappers.log" &
  process_of[$1]=$!
}

# start_holder NAME VERSION: holds actors, a process each.
start_holder() {
  baton run --name mailbox --version "$2" --slots 8 --per-actor -- "$here/actor.sh" 2>>"$work/wrappers.log" &
  process_of[$1]=$!
}

# ended NAME CODE: waits for it and checks its exit code.
ended() {
  local code=0
  wait "${process_of[$1]}" || code=$?
  unset "process_of[$1]"
  [ "$code" -eq "$2" ] || fail "$1 exited with $code, not $2"
}

# --- the story --------------------------------------------------------------------------------------------------

say 'A daemon, and a pool whose config drains the older runners when a newer version arrives.'
start_daemon
run baton config put encoder --drain-on-version-upgrade --drain-grace 30s
follow_events

say 'Four workers of version 1: ordinary programs under "baton run".'
for place in 1 2 3 4; do start_worker "old-$place" 1 $((place * 60000)); done
await 4 RUNNER_REGISTERED 1
run baton runners

say 'Two of version 2 arrive. Whoever is older gets a Stop, finishes the job in hand, and leaves.'
for place in 1 2; do start_worker "new-$place" 2 60000; done
await 2 RUNNER_REGISTERED 2
await 4 DRAIN_COMPLETED 1
for place in 1 2 3 4; do ended "old-$place" 85; done
run baton runners
run baton pools

say 'Who was stopped, why, by whom, and how long it took:'
run baton drains --all

# --- is it true? ------------------------------------------------------------------------------------------------

drains=$(baton drains --all --json)
completed=$(jq -s '[.. | objects | select(.state? == "DRAIN_STATE_COMPLETED" and .runnerVersion == 1)] | length' <<<"$drains")
[ "$completed" -eq 4 ] || fail "$completed of 4 drains completed"
left=$(grep -c '^left' "$work/journal") || true
[ "$left" -eq 4 ] || fail "$left of 4 workers of version 1 left by themselves"
cut_short=$(awk '
  $1 == "begun" { open[$2] = $3 }
  $1 == "finished" { delete open[$2] }
  $1 == "left" { if ($2 in open) cut++ }
  END { print cut + 0 }' "$work/journal")
[ "$cut_short" -eq 0 ] || fail "$cut_short jobs were cut short"

say 'The new ones are told to stop by their supervisor (SIGTERM): their own drain, a clean exit.'
for place in 1 2; do kill -TERM "${process_of[new-$place]}"; done
await 2 DRAIN_COMPLETED 2
for place in 1 2; do ended "new-$place" 0; done
begun=$(grep -c '^begun' "$work/journal")
finished=$(grep -c '^finished' "$work/journal")
[ "$begun" -eq "$finished" ] || fail "$begun jobs were begun, $finished finished"

say 'Actors: work that outlives its runner. A pool whose runners start one process for each.'
run baton config put mailbox --drain-on-version-upgrade --drain-grace 30s
start_holder holder-1 1
await 5 RUNNER_REGISTERED 1
for key in ada bob eve; do run baton actors create mailbox box --key "$key" --input "{\"owner\":\"$key\"}"; done
await 3 ACTOR_RUNNING
run baton actors

say 'Version 2 of the mailbox arrives: every actor is stopped there and started here, under its next generation.'
start_holder holder-2 2
await 6 ACTOR_RUNNING
ended holder-1 85
run baton actors
moved=$(baton actors --json | jq -s '[.. | objects | select(.state? == "ACTOR_STATE_RUNNING" and .runnerVersion == 2 and (.generation | tonumber) == 2)] | length')
[ "$moved" -eq 3 ] || fail "$moved of 3 actors run on version 2 under their second generation"
kill -TERM "${process_of[holder-2]}"
ended holder-2 0

kill -TERM "${process_of[batond]}"
ended batond 0
say "${green}Done: 4 of version 1 relieved, $begun jobs begun, $finished finished, none cut short; 3 actors moved.${plain}"
