"""Compiled twins of plain rooms, equal to them by test: the one place of the core that knows numba.

Read the plain rooms first: `mapper`, `sampling`, `losses`. Nothing here says anything new; it says
it in loops, because a frame at batch 1 is a hundred small calls in torch.
"""

# a product may be fused with its sum, but sums keep their order: two loops that add the same
# numbers, one row at a time or four, then give the same bits
IN_ORDER = {"contract"}


def compiled(function):
    """Compile with numba for speed alone: sums may be regrouped."""
    return _compile(function, fastmath=True)


def compiled_in_order(function):
    """Compile with numba so that the bits of a row depend on nothing but the row."""
    return _compile(function, fastmath=IN_ORDER)


def _compile(function, **options):
    """Keep the result on disk where the folder, or the user's cache, can be written."""
    import numba  # here, so that what needs no loops does not wait for a compiler

    try:
        return numba.njit(cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # numba found no writable place for its cache: compile in memory
        return numba.njit(error_model="numpy", **options)(function)
