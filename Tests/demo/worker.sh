#!/bin/sh
# A worker as people write them: it takes one job after the other, and SIGTERM means "finish the job in hand, then go".
# It knows nothing of Baton. A job counts the primes below a bound; the journal tells which jobs were begun and finished.
# usage: worker.sh JOURNAL BOUND
set -u
journal=$1
bound=$2

told_to_stop=
trap 'told_to_stop=yes' TERM

# Counts beside this shell, which only waits for it. A signal is for the whole group: it ends the wait, and it may end a job
# that has just begun, which then begins again.
count_primes() {
  (
    trap '' TERM
    exec awk -v bound="$bound" 'BEGIN {
      for (number = 2; number < bound; number++) {
        for (divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor == 0) break
        if (divisor * divisor > number) found++
      }
    }'
  ) &
  while :; do
    wait $!
    status=$?
    kill -0 $! 2>/dev/null || return $status
  done
}

job=0
while [ -z "$told_to_stop" ]; do
  job=$((job + 1))
  echo "begun $$ $job" >>"$journal"
  until count_primes; do :; done
  echo "finished $$ $job" >>"$journal"
done
echo "left $$ $job" >>"$journal"
