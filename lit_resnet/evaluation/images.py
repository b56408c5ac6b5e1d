"""The images that nets are judged on."""

from collections.abc import Collection, Iterator, Sequence

from lit_resnet.data.dataset import Portion
from lit_resnet.data.module import ImageData
from lit_resnet.errors import InputError
from lit_resnet.evaluation import Testing
from lit_resnet.evaluation.score_cache import PORTION
from lit_resnet.evaluation.views import View, views_of


class TestImages:
    """The test images of a run's data set, in all the views that a net is judged by.

    Nets with the same `digest` are judged on the same images.

    Args:
        data: The data that the net was trained on.

    Raises:
        InputError: A folder or file is missing or damaged.
    """

    def __init__(self, data: ImageData) -> None:
        self.name = data.name
        self._data_set, self._settings = data.data_set, data.settings
        split = data.test_split()
        self._images, self.labels = split
        self.digest = self._data_set.digest(split)

    def views(self, protocol: Testing, scales: Sequence[int] | None = None) -> list[View]:
        """The views whose scores a protocol averages; `scales` are those of `multi-scale`, None for the paper's.

        Raises:
            InputError: The images are small and seen whole, or a scale is not for the net's crops.
        """
        if self._data_set.cropped:
            return views_of(protocol, self._settings.photographs, scales)
        if protocol != "center":
            raise InputError(
                f"--protocol {protocol}: the images of {self.name} are small and seen whole; write center. "
                "Crops and scales are for data.source imagenet"
            )
        return [View("center")]

    def portions(self, short_sides: Collection[int | None], start: int, workers: int | None) -> Iterator[Portion]:
        """The images from number `start` on, in order, at these shorter sides; see `DataSet.portions`."""
        images = self._images[start:]
        return self._data_set.portions(images, self._settings, short_sides, workers, PORTION)
