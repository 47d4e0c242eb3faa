#!/bin/sh
# One actor of the demo: it lives until it is told to stop.
trap 'exit 0' TERM
tail -f /dev/null &
wait
