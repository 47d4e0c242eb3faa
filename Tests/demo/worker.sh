#!/usr/bin/env bash
# A worker as people write them: it takes one job after the other, and SIGTERM means "finish the job in hand, then go".
# It knows nothing of Baton. A job counts the primes below a bound; the journal tells which jobs were begun and finished.
# usage: worker.sh JOURNAL BOUND
set -u
journal=$1
bound=$2

told_to_stop=
trap 'told_to_stop=yes' TERM

count_primes() {
  local number divisor found=0
  for ((number = 2; number < bound; number++)); do
    for ((divisor = 2; divisor * divisor <= number; divisor++)); do
      ((number % divisor)) || continue 2
    done
    ((++found))
  done
  printf '%d' "$found"
}

job=0
while [ -z "$told_to_stop" ]; do
  ((++job))
  echo "begun $$ $job" >>"$journal"
  # In this shell, not in a subshell: a signal to the whole group must not cut a job short.
  count_primes >/dev/null
  echo "finished $$ $job" >>"$journal"
done
echo "left $$ $job" >>"$journal"
