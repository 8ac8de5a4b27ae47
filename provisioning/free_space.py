"""Shell that tells how much room there is where something is yet to be written."""

from __future__ import annotations

ROW = (
    'df_row() { set -- "$1"; while [ ! -e "$1" ]; do set -- "${1%/*}"; set -- "${1:-/}"; done; '
    'df -P -B1 "$1" 2>/dev/null | tail -n 1; }'
)
"""A function: `df_row FOLDER` prints df's row, in bytes, for a folder or for that above it which is there."""
