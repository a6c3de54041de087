"""The colors of classes and of signed values, and the palettes of pictures."""

from __future__ import annotations

from experiments.playground.engine.probe import LEVELS

CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""The first of `jaxnn.plots._style.COLORS`, without loading Matplotlib."""
NEGATIVE, POSITIVE = CLASSES[0], CLASSES[1]


def _mix(color: str, fraction: float) -> str:
    parts = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (part - 255) * fraction):02x}" for part in parts)


REGIONS = [_mix(color, 0.12 + 0.68 * level / (LEVELS - 1)) for color in CLASSES for level in range(LEVELS)] + [
    "#ffffff"
]
SIGNED = [_mix(NEGATIVE, (128 - i) / 128) for i in range(128)] + [
    _mix(POSITIVE, (i - 128) / 127) for i in range(128, 256)
]

PALETTES = {
    (False, False): REGIONS,
    (True, False): SIGNED,
    (False, True): [_mix(color, 0.5) for color in CLASSES for _ in range(LEVELS)] + ["#ffffff"],
    (True, True): [_mix(NEGATIVE, 0.5)] * 128 + [_mix(POSITIVE, 0.5)] * 128,
}
"""By whether the colors are of signed values, and whether only their sign or class is shown."""
