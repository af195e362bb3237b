# cython: annotation_typing=False
"""What is done to some requests only: delays and aborts that are asked for, mirrors. Pure; chance is an argument."""


def falls_on(numerator: int, denominator: int, chance: int) -> bool:
    """Whether a request is one of those `numerator` of `denominator`; `chance` is a number of 32 bits."""
    return (chance * denominator) >> 32 < numerator
