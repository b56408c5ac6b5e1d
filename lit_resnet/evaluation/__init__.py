"""How nets are judged (Sec. 3.4): by the centre crop, ten crops, or many scales; alone, or as an ensemble."""

from typing import Literal

REFINED, MULTI_SCALE = "refined", "multi-scale"  # what a detector does beyond a plain test (Appendix B)
Testing = Literal["center", "ten-crop", "multi-scale"]  # a protocol, as `--protocol` and configs name it
