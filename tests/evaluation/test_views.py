import pytest
import torch

from lit_resnet.data.photographs import Photographs
from lit_resnet.errors import InputError
from lit_resnet.evaluation.views import View, views_of


def test_the_papers_protocols():
    assert views_of("center", Photographs()) == [View("center", 256, 224)]
    assert views_of("ten-crop", Photographs()) == [View("ten-crop", 256, 224)]
    views = views_of("multi-scale", Photographs())
    assert [str(view) for view in views] == ["dense-224", "dense-256", "dense-384", "dense-480", "dense-640"]


def test_scales_grow_and_shrink_with_the_training_crop():
    half = Photographs(short_side=(128, 240), crop=112, test_short_side=128)
    assert [view.short_side for view in views_of("multi-scale", half)] == [112, 128, 192, 240, 320]
    assert [view.short_side for view in views_of("multi-scale", half, [150, 112])] == [150, 112]


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ([256, 200], "--scales: 200 is smaller than the net's crops of 224"),
        ([256, 256], "--scales: 256 is there twice"),
    ],
)
def test_scales_that_make_no_sense(scales: list[int], message: str):
    with pytest.raises(InputError, match=message):
        views_of("multi-scale", Photographs(), scales)


def test_what_is_cut_out():
    image = torch.arange(3 * 6 * 8, dtype=torch.uint8).view(3, 6, 8)
    wide, narrow = image, image.transpose(1, 2)
    centre = View("center", 6, 4).cut([wide, narrow])
    assert torch.equal(centre[0, 0], wide[:, 1:5, 2:6])
    assert torch.equal(centre[1, 0], narrow[:, 2:6, 1:5])
    crops = View("ten-crop", 6, 4).cut([wide, narrow])
    assert crops.shape == (2, 5, 3, 4, 4)
    expected = [wide[:, :4, :4], wide[:, :4, 4:], wide[:, 2:, :4], wide[:, 2:, 4:], wide[:, 1:5, 2:6]]
    assert torch.equal(crops[0], torch.stack(expected))
    assert torch.equal(View("dense", 6, 4).cut([wide])[0, 0], wide)
    assert torch.equal(View("center").cut([wide])[0, 0], wide)
