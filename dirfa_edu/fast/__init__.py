"""Compiled twins of the plain rooms, equal to them by test: the one place of the core that knows
numba."""

import numba


def compiled(function):
    """Compile with numba; keep the result on disk where the folder, or the user's cache, can be
    written."""
    try:
        return numba.njit(cache=True, fastmath=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no writable place for its cache: compile in memory
        return numba.njit(fastmath=True, error_model="numpy")(function)
