import pytest
import torch

from lit_resnet.errors import InputError
from lit_resnet.evaluation.topk import TopError


def error(scores: list[list[float]], labels: list[int], k: int, dtype: torch.dtype = torch.float64) -> float:
    top = TopError(len(scores[0]), k)
    top.update(torch.tensor(scores, dtype=dtype), torch.tensor(labels))
    return top.compute().item()


def test_without_ties():
    scores = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]] * 6
    labels = [0, 1, 2, 3, 4, 5]
    assert error(scores, labels, 1) == pytest.approx(500 / 6)
    assert error(scores, labels, 5) == pytest.approx(100 / 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 1 / 6, 1.0])
@pytest.mark.parametrize("k", [1, 5])
def test_equal_scores_for_all_classes_are_wrong(value: float, k: int, dtype: torch.dtype):
    assert error([[value] * 6] * 6, list(range(6)), k, dtype) == 100


def test_a_tie_counts_against_the_net_where_it_matters():
    # Ties of the image's class with others: for the first place; from the fifth place on; within the first five; with
    # none, though others tie.
    scores = [
        [0.4, 0.4, 0.1, 0.05, 0.03, 0.02],
        [0.3, 0.3, 0.2, 0.2, 0.0, 0.0],
        [0.5, 0.2, 0.1, 0.1, 0.1, 0.0],
        [0.5, 0.1, 0.1, 0.1, 0.1, 0.1],
    ]
    labels = [0, 4, 2, 0]
    assert [error([score], [label], 1) for score, label in zip(scores, labels, strict=True)] == [100, 100, 100, 0]
    assert [error([score], [label], 5) for score, label in zip(scores, labels, strict=True)] == [0, 100, 0, 0]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_wrong(wrong: float):
    for k in (1, 5):
        assert error([[0.9, wrong, 0, 0, 0, 0], [wrong] * 6, [0.9, 0.1, 0, 0, 0, 0]], [0, 0, 0], k) == pytest.approx(
            200 / 3
        )


def test_the_scores_that_are_given_stay_as_they_are():
    scores = torch.rand(4, 6)
    before = scores.clone()
    TopError(6, 1).update(scores, torch.tensor([0, 1, 2, 3]))
    assert torch.equal(scores, before)


def test_over_many_images_as_by_hand():
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.rand(500, 20, generator=generator), torch.randint(20, (500,), generator=generator)
    own = scores.gather(1, labels[:, None])
    for k in (1, 5):
        top = TopError(20, k)
        for part in (slice(0, 300), slice(300, 500)):
            top.update(scores[part], labels[part])
        wrong = ((scores > own).sum(1) >= k).sum().item()
        assert top.compute().item() == pytest.approx(wrong / 5)


def test_top_5_of_fewer_than_five_classes():
    assert error([[0.1, 0.2, 0.3, 0.4, 0.5]], [0], 5) == 0
    with pytest.raises(InputError, match="top-5 error: there are 4 classes, and it needs 5 or more; take top-1"):
        TopError(4, 5)
