"""The scores of one view, against what is written out crop by crop in 64-bit floats."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lit_resnet.evaluation.scores import scores, window
from lit_resnet.evaluation.views import View
from lit_resnet.nets import NetConfig, build

CROP = 64
MEAN = torch.tensor([110.0, 120.0, 130.0])[:, None, None]


@pytest.fixture(scope="module")
def net(sure: Callable) -> nn.Module:
    torch.manual_seed(0)
    return sure(build(NetConfig(family="imagenet", depth=18, shortcut="B", num_classes=10)))


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    """Seven images whose shorter side is 73, so that no crop is where another one is; of three shapes."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(73, 90), (81, 73), (73, 90), (73, 73), (73, 90), (81, 73), (73, 90)]
    return [torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=generator) for shape in shapes]


@pytest.fixture(params=["channel", "pixel"])
def mean(request: pytest.FixtureRequest) -> Tensor:
    if request.param == "channel":
        return MEAN
    return MEAN + torch.randn(3, CROP, CROP, generator=torch.Generator().manual_seed(2))


def exactly(net: nn.Module, x: Tensor) -> Tensor:
    """Scores of images, by the plain forward pass in 64 bits."""
    with torch.no_grad():
        found = net.double()(x.double()).softmax(1)
    net.float()
    return found


def crops(image: Tensor) -> Iterator[Tensor]:
    _, height, width = image.shape
    for top in (0, height - CROP):
        for left in (0, width - CROP):
            yield image[:, top : top + CROP, left : left + CROP]
    top, left = (height - CROP) // 2, (width - CROP) // 2
    yield image[:, top : top + CROP, left : left + CROP]


def test_ten_crops(net: nn.Module, images: list[Tensor], mean: Tensor):
    images = images[:4]  # of all shapes
    found = scores(net, mean, View("ten-crop", 73, CROP), images, batch_size=16)
    assert found.std() > 0.01  # it is not the same whatever one does
    for image, score in zip(images, found, strict=True):
        five = torch.stack([(crop - mean) / 255 for crop in crops(image)])
        ten = torch.cat([five, five.flip(-1)])
        torch.testing.assert_close(score.double(), exactly(net, ten).mean(0), rtol=0, atol=1e-6)


def test_the_centre_crop(net: nn.Module, images: list[Tensor], mean: Tensor):
    found = scores(net, mean, View("center", 73, CROP), images, batch_size=3)
    centres = torch.stack([(list(crops(image))[-1] - mean) / 255 for image in images])
    torch.testing.assert_close(found.double(), exactly(net, centres), rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["imagenet", "cifar"])
def test_dense_at_the_size_of_a_crop_is_the_plain_forward(family: str, mean: Tensor, sure: Callable):
    torch.manual_seed(0)
    net = sure(build(NetConfig(family=family, depth={"cifar": 8, "imagenet": 34}[family])))
    image = torch.randint(0, 256, (3, CROP, CROP), dtype=torch.uint8)
    x = ((image - mean) / 255)[None]
    expected = (exactly(net, x) + exactly(net, x.flip(-1))) / 2
    found = scores(net, mean, View("dense", CROP, CROP), [image], batch_size=1)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


def test_dense_is_the_mean_over_positions_where_a_net_sees_patches(mean: Tensor):
    """Kernels as large as their strides, and no padding: a position is a crop, and nothing of what is around it."""
    torch.manual_seed(0)
    net = build(NetConfig(depth=8)).eval()
    net.conv1, net.bn1, net.layer1 = nn.Conv2d(3, 16, 2, stride=2), nn.BatchNorm2d(16).eval(), nn.Sequential()
    net.layer2 = nn.Sequential(nn.Conv2d(16, 64, 2, stride=2), nn.ReLU())
    net.layer3 = nn.Sequential(nn.Conv2d(64, 64, 1), nn.ReLU())
    net.fc.weight.data *= 5
    side, image = 16, torch.randint(0, 256, (3, 24, 36), dtype=torch.uint8)
    mean = mean if mean.shape[1:] == (1, 1) else interpolate(mean[None], (side, side))[0]
    of_image = mean if mean.shape[1:] == (1, 1) else interpolate(mean[None], (24, 36), mode="bilinear")[0]
    whole = (image - of_image) / 255
    windows = [
        x[:, top : top + side, left : left + side]
        for x in (whole, whole.flip(-1))
        for top in range(0, 24 - side + 1, 4)
        for left in range(0, 36 - side + 1, 4)
    ]
    assert len(windows) == 2 * 3 * 6
    found = scores(net, mean, View("dense", 24, side), [image], batch_size=1)
    torch.testing.assert_close(found[0].double(), exactly(net, torch.stack(windows)).mean(0), rtol=0, atol=1e-6)


def test_images_of_all_shapes_in_batches_of_any_size(net: nn.Module, images: list[Tensor]):
    view = View("dense", 73, CROP)
    one_by_one = torch.cat([scores(net, MEAN, view, [image], 1) for image in images])
    for batch_size in (1, 7, 100):
        torch.testing.assert_close(scores(net, MEAN, view, images, batch_size), one_by_one, rtol=0, atol=1e-6)


def test_no_forward_pass_is_larger_than_asked(net: nn.Module, images: list[Tensor]):
    shapes = []
    hook = net.conv1.register_forward_hook(lambda module, args, output: shapes.append(args[0].shape))
    for view in (View("center", 73, CROP), View("ten-crop", 73, CROP), View("dense", 73, CROP)):
        scores(net, MEAN, view, images, batch_size=10)
    hook.remove()
    assert len(shapes) > 3
    assert all(shape.numel() <= 10 * 3 * CROP**2 for shape in shapes)


@pytest.mark.parametrize("crop", [32, 112, 150, 224])
@pytest.mark.parametrize("net", [("imagenet", 18), ("vgg", 16), ("cifar", 8)])
def test_window_is_the_last_map_of_a_crop(net: tuple[str, int], crop: int):
    config = NetConfig(*net, shortcut="none")
    with torch.device("meta"):
        made = build(config).eval()
        last = []
        made.avgpool.register_forward_hook(lambda module, args, output: last.append(args[0].shape[-1]))
        made(torch.empty(1, 3, crop, crop))
    assert last == [window(config, crop)]
