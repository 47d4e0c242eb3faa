#!/bin/sh
# One actor of the demo: it lives until it is told to stop.
trap 'exit 0' TERM
sleep 600 &
wait
