import pytest
import torch
from torch import Tensor

from lit_resnet.data.augment import CropFlip, pixel_mean, subtract_mean
from lit_resnet.data.stream import BatchStream, EvalBatches, Stretches

N = 40
LABELS = torch.arange(N)  # an image's label is its number


def stream(images: Tensor, batch_size: int = 16, seed: int = 7, **where: int) -> BatchStream:
    return BatchStream(images, LABELS, CropFlip(pixel_mean(images), pad=1), batch_size, seed, **where)


def take(stream: BatchStream, n: int) -> list[tuple[Tensor, Tensor]]:
    return [next(stream) for _ in range(n)]


def same(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> bool:
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_each_image_once_a_pass_and_no_short_batch(images: Tensor) -> None:
    batches = take(stream(images), 10)  # 160 images: four passes of two and a half batches
    assert {len(labels) for _, labels in batches} == {16}
    passes = torch.cat([labels for _, labels in batches]).split(N)
    assert len(passes) == 4
    assert all(sorted(labels.tolist()) == list(range(N)) for labels in passes)
    assert len({tuple(labels.tolist()) for labels in passes}) == 4
    assert passes[0].tolist() != list(range(N))


def test_labels_stay_with_their_images(images: Tensor) -> None:
    plain = BatchStream(images, LABELS, CropFlip(pixel_mean(images), pad=0, flip=False), 16, seed=0)
    batch, labels = next(plain)
    assert torch.equal(batch, subtract_mean(images[labels], pixel_mean(images)))


def test_batch_longer_than_a_pass(images: Tensor) -> None:
    _, labels = next(stream(images, batch_size=100))
    assert labels.bincount(minlength=N).tolist().count(3) == 20
    assert sorted(labels[:40].tolist()) == sorted(labels[40:80].tolist()) == list(range(N))


@pytest.mark.parametrize("position", [1, 2, 3, 5])  # batch 2 ends one pass and begins the next; 5 begins one
def test_a_stream_made_at_a_position_goes_on_bit_for_bit(images: Tensor, position: int) -> None:
    whole = stream(images)
    expected = take(whole, 10)[position:]
    resumed = stream(images, position=position)
    assert all(same(a, b) for a, b in zip(take(resumed, 10 - position), expected, strict=True))
    assert resumed.position == whole.position == 10


def test_torch_and_numpy_randomness_elsewhere_changes_nothing(images: Tensor) -> None:
    torch.manual_seed(1)
    first = next(stream(images))
    torch.manual_seed(2)
    assert same(first, next(stream(images)))


def test_seeds_and_batches_differ(images: Tensor) -> None:
    a, b = next(stream(images, seed=0)), next(stream(images, seed=1))
    assert a[1].tolist() != b[1].tolist()
    every = BatchStream(images[:1], LABELS[:1], CropFlip(pixel_mean(images)), 64, seed=0)
    first, second = take(every, 2)  # one image only, so that nothing but the augmentation can differ
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("position", [0, 2])
def test_shards_are_the_parts_of_one_stream(images: Tensor, position: int) -> None:
    whole = take(stream(images, batch_size=24, position=position), 5)
    shards = [take(stream(images, batch_size=24, position=position, rank=r, world_size=3), 5) for r in range(3)]
    for k in range(5):
        parts = [shards[r][k] for r in range(3)]
        assert [len(labels) for _, labels in parts] == [8, 8, 8]
        joined = tuple(torch.cat([part[i] for part in parts]) for i in range(2))
        assert same(whole[k], joined)


@pytest.mark.parametrize("position", [0, 3, 4, 5])
def test_stretches_end_at_multiples_and_have_the_batches_of_the_stream(images: Tensor, position: int) -> None:
    stretches = iter(Stretches(stream(images, position=position), size=4))
    ahead = [next(stretches) for _ in range(3)]  # as a Trainer does, before it trains on the first
    first = 4 * (position // 4)
    assert [(b.start, b.stop) for b in ahead] == [
        (position, first + 4),
        (first + 4, first + 8),
        (first + 8, first + 12),
    ]
    batches = [batch for stretch in ahead for batch in stretch]
    expected = take(stream(images), first + 12)[position:]
    assert all(same(a, b) for a, b in zip(batches, expected, strict=True))


def test_stream_has_no_length(images: Tensor) -> None:
    with pytest.raises(TypeError):
        len(stream(images))


@pytest.mark.parametrize(("world_size", "batch_size"), [(1, 16), (3, 5), (7, 40)])
def test_evaluation_counts_each_image_once(images: Tensor, world_size: int, batch_size: int) -> None:
    mean = pixel_mean(images)
    seen = []
    for rank in range(world_size):
        shard = EvalBatches(images, LABELS, mean, batch_size, rank, world_size)
        batches = list(shard)
        assert len(batches) == len(shard)
        assert all(len(labels) == batch_size for _, labels in batches[:-1])
        for batch, labels in batches:
            assert torch.equal(batch, subtract_mean(images[labels], mean))
            seen += labels.tolist()
    assert sorted(seen) == list(range(N))
    assert world_size > 1 or seen == list(range(N))
