#!/usr/bin/env bash
# Memory and descriptors of four ranks over some hundred steps; heavy/long.sh does it with 16 ranks.
exec bash "$(dirname "$0")/../heavy/long.sh" "$GRADUS" "$1" 4 400 0.02
