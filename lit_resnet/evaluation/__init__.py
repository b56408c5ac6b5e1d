"""How nets are judged (Sec. 3.4): by the centre crop, ten crops, or many scales; alone, or as an ensemble."""

from typing import Literal

Testing = Literal["center", "ten-crop", "multi-scale"]  # a protocol, as `--protocol` and configs name it
