"""The figures: what is drawn, how it looks, and that it is legible."""

import json
from itertools import pairwise

import pytest
from lab import METRICS, luminance
from matplotlib.colors import to_rgb

from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import figures, looks, runs
from lit_resnet.report.figures import style
from lit_resnet.report.figures.drawing import render
from lit_resnet.report.figures.scale import Scale, from_zero
from lit_resnet.runfolder.records import SIGNALS

ALL = {"figures": ["fig1", "fig6", "fig7", "gradients"]}


def draw(lab, grid):
    return {drawing.name: drawing for drawing in figures.draw(runs.read(Asked(grid, root=lab.root)))}


def finish_all(lab, seeds=(0,), **options):
    """Plain and residual nets; plain-56 does not train."""
    for seed in seeds:
        lab.finish("plain-20", seed, shortcut="none", test_error=9.0 + seed, **options)
        lab.finish("plain-56", seed, shortcut="none", depth=56, train_error=81, test_error=82, **options)
        lab.finish("res-20", seed, train_error=0.4, test_error=8.0, **options)
        lab.finish("res-56", seed, depth=56, train_error=0.2, test_error=7.5, **options)
    return ["plain-20", "plain-56", "res-20", "res-56"]


def line_to(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)


def test_every_figure_is_drawn_in_both_formats_always_with_the_same_bytes(lab):
    grid = lab.grid(finish_all(lab, [0, 1], signals=True), seeds=[0, 1], report=ALL)
    once, again = draw(lab, grid), draw(lab, grid)
    assert list(once) == ALL["figures"]
    for name in ALL["figures"]:
        png, svg = (render(once[name], form) for form in ("png", "svg"))
        assert png.startswith(b"\x89PNG")
        assert len(png) > 10_000
        assert b"<path" in svg
        assert b"<text" in svg  # text is text
        assert b"date" not in svg.lower()
        assert (b"56-layer" in svg) or name != "fig6"
        assert f"<title>{once[name].title}</title>".encode() in svg
        assert [render(again[name], form) for form in ("png", "svg")] == [png, svg]


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_seeds_are_a_band(lab, seeds):
    grid = lab.grid(finish_all(lab, seeds, signals=True), seeds=seeds, report=ALL)
    drawings = draw(lab, grid)
    assert ("bands" in drawings["fig6"].caption) is (len(seeds) > 1)
    assert all(len(render(drawing, "svg")) > 10_000 for drawing in drawings.values())


def test_lines_are_means_over_the_finished_seeds(lab):
    grid = lab.grid(["res-20"], seeds=[0, 1, 2], report=ALL)
    lab.finish("res-20", 0, test_error=8.0)
    lab.finish("res-20", 1, test_error=9.0)
    lab.curves(lab.run("res-20", 2), 600, 25, 90.0, 50.0, 50.0)  # still running
    (ax,) = draw(lab, grid)["fig6"].figure.axes
    assert line_to(ax, "20-layer").get_ydata()[-1] == pytest.approx(8.5)
    band = ax.collections[-1].get_paths()[0].vertices
    assert {8.0, 9.0} <= {y for x, y in band if x == 600}


def test_a_mean_is_of_all_seeds_at_every_step(lab):
    grid = lab.grid(["res-20"], seeds=[0, 1], report=ALL)
    lab.finish("res-20", 0, log_every=25)
    lab.finish("res-20", 1, log_every=50)
    (ax,) = draw(lab, grid)["fig6"].figure.axes
    assert list(line_to(ax, "20-layer").get_xdata()) == list(range(100, 601, 100))


def test_test_error_is_drawn_where_it_was_measured(lab):
    grid = lab.grid(["res-20"], report=ALL)
    lab.finish("res-20", steps=600, log_every=25)
    (ax,) = draw(lab, grid)["fig6"].figure.axes
    dashed, bold = [line for line in ax.get_lines() if len(line.get_xdata())]
    assert list(dashed.get_xdata()) == list(range(25, 601, 25))
    assert list(bold.get_xdata()) == list(range(50, 601, 50))
    assert bold.get_linewidth() > dashed.get_linewidth()
    assert dashed.is_dashed()
    assert not bold.is_dashed()


def test_fig1_is_of_plain_nets_alone(lab):
    grid = lab.grid(finish_all(lab), report=ALL)
    left, right = draw(lab, grid)["fig1"].figure.axes
    assert [line.get_ydata()[-1] for line in left.get_lines()] == pytest.approx([0.5, 81])
    assert [line.get_ydata()[-1] for line in right.get_lines()] == pytest.approx([9, 82])


def panels(drawing):
    return {
        ax.get_title(): [line.get_label() for line in ax.get_lines() if line.get_label()[0] != "_"]
        for ax in drawing.figure.axes
    }


def test_over_1000_layers_are_beside_110_in_a_panel_of_their_own(lab):
    nets = {"plain-20": (20, "none"), "res-56": (56, "A"), "res-110": (110, "A"), "res-1202": (1202, "A")}
    for cell, (depth, shortcut) in nets.items():
        lab.finish(cell, depth=depth, shortcut=shortcut)
    drawn = panels(draw(lab, lab.grid(list(nets), report=ALL))["fig6"])
    assert drawn["residual nets"] == ["56-layer", "110-layer"]
    assert drawn["residual nets of 110 and 1202 layers"] == ["110-layer", "1202-layer"]
    assert len(drawn) == 3
    assert len(panels(draw(lab, lab.grid(list(nets)[:3], report=ALL))["fig6"])) == 2


def written(ax):
    """What stands at the ends of a panel's lines, from the bottom to the top."""
    return [text.get_text() for text in sorted(ax.texts, key=lambda text: text.xyann[1])]


def test_nets_that_end_far_above_the_others_are_named_at_the_edge(lab):
    lab.finish("plain-110", shortcut="none", depth=110, train_error=66.5, test_error=64.81)
    drawings = draw(
        lab, lab.grid([*finish_all(lab), "plain-110"], report=ALL | {"figures": ["fig1", "fig6", "curves"]})
    )
    plain, residual = drawings["fig6"].figure.axes
    assert (plain.get_yscale(), residual.get_yscale()) == ("linear", "linear")
    assert plain.get_ylim() == residual.get_ylim() == (0, 20), "as in the paper"
    assert written(plain) == ["20-layer", "↑ 64.8 %", "110-layer", "↑ 82.0 %", "56-layer"]
    assert written(residual) == ["56-layer", "20-layer"]
    left, right = drawings["fig1"].figure.axes
    assert written(left) == ["20-layer", "↑ 66.5 %", "110-layer", "↑ 81.0 %", "56-layer"]
    assert written(right) == written(plain)
    left, right = drawings["curves"].figure.axes
    assert (written(left), written(right)) == (["↑ 66.5 %", "↑ 81.0 %"], ["↑ 64.8 %", "↑ 82.0 %"])
    for drawing in drawings.values():
        assert "Above the axis, with an arrow and the error at the end: plain-56, plain-110." in drawing.caption


def test_errors_as_table_6_has_them_are_apart(lab):
    errors = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.61}
    for depth, error in errors.items():
        lab.finish(f"ResNet-{depth}", depth=depth, test_error=error)
    drawing = draw(lab, lab.grid([f"ResNet-{depth}" for depth in errors], report=ALL))["fig6"]
    (ax,) = drawing.figure.axes
    assert ax.get_ylim() == (0, 20)
    assert written(ax) == [f"{depth}-layer" for depth in reversed(errors)]
    assert "Above" not in drawing.caption


def test_a_net_of_unknown_depth_is_grey_and_has_its_name(lab):
    run = lab.finish("mine", net="mine")
    summary = json.loads(run.summary_file.read_text())
    del summary["net_config"]["depth"]
    run.summary_file.write_text(json.dumps(summary))
    (ax,) = draw(lab, lab.grid(["mine"], report=ALL))["fig6"].figure.axes
    assert to_rgb(line_to(ax, "mine").get_color()) == to_rgb(looks.UNKNOWN[0])


@pytest.mark.parametrize(
    ("ends", "top"),
    [
        ([8.75, 7.51, 7.17, 6.97, 6.61, 9, 10, 11.5, 15.9, 65], 20),  # the paper's
        ([2.4, 8.4, 45, 2.1, 2, 4.2], 60),  # the quickstart's: degradation is what it shows
        ([30.3, 62.1, 24, 40.9], 80),  # fig6-short's
        ([9, 82], 20),
        ([0.0, 0.1, 3], 5),
        ([8, 9, 64, 89], 20),
        ([5.5], 10),
        ([90.0], 100),
        ([float("nan"), 13], 20),
        ([float("nan")], 100),
    ],
)
def test_the_scale_is_of_the_nets_that_trained(ends, top):
    assert from_zero(ends, 600) == Scale(600, top)


@pytest.mark.parametrize(("steps", "words", "tick"), [(600, "iteration", "600"), (64_000, "iter. (1e4)", "0.06")])
def test_iterations_are_written_as_in_the_paper(lab, steps, words, tick):
    grid = lab.grid(["res-20"], report=ALL)
    lab.finish("res-20", steps=steps, log_every=steps // 20)
    (ax,) = draw(lab, grid)["fig6"].figure.axes
    assert ax.get_xlabel() == words
    assert ax.get_xlim() == (0, steps)
    assert ax.xaxis.get_major_formatter()(600, 0) == tick


def finish_fig4(lab, seeds=(0,), **options):
    """Nets of Fig. 4, with a first descent from 99 %, to which some residual net is added."""
    for seed in seeds:
        lab.photographs("plain-18", seed, depth=18, shortcut="none", train_error=34, test_error=30, start=99, **options)
        lab.photographs("plain-34", seed, depth=34, shortcut="none", train_error=37, test_error=31, start=99, **options)
        lab.photographs("ResNet-18", seed, depth=18, train_error=33, test_error=29 + seed, start=99, **options)
        lab.photographs("ResNet-34", seed, depth=34, train_error=28, test_error=27, start=99, **options)
    return ["plain-18", "plain-34", "ResNet-18", "ResNet-34"]


def test_fig4_has_plain_nets_left_and_residual_nets_right(lab):
    grid = lab.grid(finish_fig4(lab, (0, 1)), seeds=[0, 1], report={"figures": ["fig4"]})
    drawing = draw(lab, grid)["fig4"]
    assert panels(drawing) == {"plain nets": ["18-layer", "34-layer"], "residual nets": ["18-layer", "34-layer"]}
    left, right = drawing.figure.axes
    assert left.get_ylim() == right.get_ylim()
    bold = line_to(right, "18-layer")
    thin = right.get_lines()[0]
    assert thin.get_ydata()[-1] == pytest.approx(33)
    assert bold.get_ydata()[-1] == pytest.approx(29.5)
    assert bold.get_linewidth() > 2 * thin.get_linewidth()
    assert not thin.is_dashed()
    assert thin.get_color() == bold.get_color() == looks.of_net({"depth": 18}).light
    assert [text.get_text() for text in drawing.figure.legends[0].get_texts()] == ["training error", "validation error"]
    assert "centre crop" in drawing.caption
    assert "bands" in drawing.caption
    for form in ("png", "svg"):
        assert len(render(drawing, form)) > 10_000


def test_vgg_is_in_no_figure(lab):
    cells = finish_fig4(lab)
    lab.photographs("VGG-16", depth=16, shortcut="none", family="vgg", net="VGG-16", responses=True)
    grid = lab.grid([*cells, "VGG-16"], report={"figures": ["fig4", "fig6", "fig1", "fig7"]})
    drawings = draw(lab, grid)
    for name in ("fig4", "fig6"):
        assert set(panels(drawings[name])["plain nets"]) == {"18-layer", "34-layer"}
        assert set(panels(drawings[name])["residual nets"]) == {"18-layer", "34-layer"}
    assert panels(drawings["fig1"])["training error"] == ["18-layer", "34-layer"]
    assert drawings["fig7"].figure is None


@pytest.mark.parametrize(
    ("logged", "limits"),
    [
        ([99, 70, 55, 54, 40, 30, 29, 28, 27, 27.5], (20, 60)),  # the paper's
        ([90, 60, 41, 39, 20, 15, 9, 4, 3, 3], (0, 50)),
        ([99, 92, 91.5, 91, 90.5, 90, 90, 90, 90, 90], (90, 100)),  # it hardly trains
        ([99, 46, 45, 45, 45, 45, 45, 44, 44, 44], (40, 60)),
        ([float("nan"), 60, 99, 55, 40, 30, 29, 28, 27, 27], (20, 60)),  # what is no number, and an outlier
    ],
)
def test_fig4_shows_what_comes_after_the_first_descent(lab, logged, limits):
    run = lab.photographs("A", depth=34, steps=800)
    steps = [40, 80, 120, 160, *range(300, 801, 100)]  # the second tenth is from 80 to 160
    METRICS.replace(run.path, [{"step": step, "train_error": error} for step, error in zip(steps, logged, strict=True)])
    (ax,) = draw(lab, lab.grid(["A"], report={"figures": ["fig4"]}))["fig4"].figure.axes
    assert ax.get_ylim() == limits


def test_fig7_in_order_and_ranked(lab):
    grid = lab.grid(["plain", "res"], seeds=[0, 1], report=ALL)
    lab.responses(lab.finish("plain", 0, shortcut="none"), [("a", 0.9), ("b", 0.3), ("c", 0.6)])
    lab.responses(lab.finish("plain", 1, shortcut="none"), [("a", 0.7), ("b", 0.5), ("c", 0.8)])
    lab.responses(lab.finish("res", 0), [("a", 0.2), ("b", 0.1), ("c", 0.4)])
    lab.finish("res", 1, responses=False)
    top, bottom = draw(lab, grid)["fig7"].figure.axes
    assert [list(line.get_ydata()) for line in top.get_lines()] == [
        pytest.approx(y) for y in ([0.8, 0.4, 0.7], [0.2, 0.1, 0.4])
    ]
    assert [list(line.get_ydata()) for line in bottom.get_lines()] == [
        pytest.approx(y) for y in ([0.8, 0.7, 0.4], [0.4, 0.2, 0.1])
    ]
    assert [line.is_dashed() for line in top.get_lines()] == [True, False]
    assert list(top.get_lines()[0].get_xdata()) == [1, 2, 3]


def test_in_fig7_a_net_of_over_1000_layers_leaves_the_others_their_width(lab):
    for cell, depth in {"res-20": 20, "res-110": 110, "res-1202": 1202}.items():
        lab.finish(cell, depth=depth)
    drawing = draw(lab, lab.grid(["res-20", "res-110", "res-1202"], report=ALL))["fig7"]
    assert [ax.get_xlim() for ax in drawing.figure.axes] == [(0, 110)] * 2
    assert "The lines of ResNet-1202 go on to the right of the axis." in drawing.caption
    alone = draw(lab, lab.grid(["res-1202"], report=ALL))["fig7"]
    assert alone.figure.axes[0].get_xlim() == (0, 1202)
    assert "go on" not in alone.caption


def test_fig7_leaves_out_a_seed_that_diverged(lab):
    grid = lab.grid(["res"], seeds=[0, 1], report=ALL)
    lab.responses(lab.finish("res", 0), [("a", 0.2), ("b", 0.1)])
    lab.responses(lab.finish("res", 1, diverged=True), [("a", float("nan")), ("b", 0.3)])
    top, _ = draw(lab, grid)["fig7"].figure.axes
    assert list(top.get_lines()[0].get_ydata()) == [0.2, 0.1]


def signals(**iterations):
    """Rows of signals.csv, the variance ten times the gradient: step200=[gradients of the layers], ..."""
    return [
        {"step": int(step[4:]), "layer": i, "name": f"layer{i}", "variance": 10 * gradient, "gradient": gradient}
        for step, gradients in iterations.items()
        for i, gradient in enumerate(gradients, start=1)
    ]


def test_gradients_over_the_place_in_the_net(lab):
    grid = lab.grid(["plain", "res", "deep"], seeds=[0, 1, 2], report=ALL)
    for seed, factor in enumerate((1.0, 0.5, 4.0)):  # the second is the median
        rows = signals(
            step200=[8.0 * factor, 2.0 * factor, 1.0 * factor], step400=[0.2 * factor, 0.4 * factor, 0.1 * factor]
        )
        SIGNALS.replace(lab.finish("plain", seed, shortcut="none").path, rows)
    SIGNALS.replace(lab.finish("res", 0).path, signals(step200=[3.0, 2.0, 1.0]))
    SIGNALS.replace(lab.finish("deep", 0, depth=56).path, signals(step200=[5.0, 4.0, 3.0, 2.0, 1.0]))
    SIGNALS.replace(lab.finish("deep", 1, depth=56, diverged=True).path, signals(step200=[float("nan")] * 5))
    drawing = draw(lab, grid)["gradients"]
    variance, _, gradient, residual = drawing.figure.axes
    (line,) = gradient.get_lines()
    assert list(line.get_xdata()) == [0, 0.5, 1]
    assert list(line.get_ydata()) == [0.2, 0.4, 0.1]  # the last sampled iteration
    assert list(variance.get_lines()[0].get_ydata()) == [2, 4, 1]
    band = gradient.collections[0].get_paths()[0].vertices
    assert {y for x, y in band if x == 0} == {0.2, 8.0}
    assert line.is_dashed()
    assert [list(line.get_xdata()) for line in residual.get_lines()] == [[0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]]
    assert list(residual.get_lines()[1].get_ydata()) == [5, 4, 3, 2, 1]
    assert panels(drawing)["residual nets"] == ["20-layer", "56-layer"]


def test_small_differences_do_not_look_dramatic(lab):
    SIGNALS.replace(lab.finish("res").path, signals(step200=[1.0, 0.9, 1.1]))
    for ax in draw(lab, lab.grid(["res"], report=ALL))["gradients"].figure.axes:
        low, high = ax.get_ylim()
        assert ax.get_yscale() == "log"
        assert high / low == pytest.approx(1000)


def test_a_figure_without_data_says_why(lab):
    grid = lab.grid(["res-20"], report=ALL)
    lab.finish("res-20", responses=False)
    drawings = draw(lab, grid)
    assert [name for name, drawing in drawings.items() if drawing.figure] == ["fig6"]
    assert "plain" in drawings["fig1"].caption
    assert "responses" in drawings["fig7"].caption
    assert "signals" in drawings["gradients"].caption


def test_fig4_without_curves_says_so(lab):
    METRICS.file(lab.photographs("A").path).unlink()
    drawing = draw(lab, lab.grid(["A"], report={"figures": ["fig4"]}))["fig4"]
    assert drawing.figure is None
    assert "No finished run left a curve" in drawing.caption


def test_nets_of_one_depth_get_names_and_colours_or_markers(lab):
    cells = {
        f"{decay}-{lr}": {"model.sgd.weight_decay": decay, "model.rate.lr": lr} for decay in (0, 1) for lr in (2, 3)
    }
    for cell in cells:
        lab.finish(cell)
    drawing = draw(lab, lab.grid(cells, report=ALL))["fig6"]
    (ax,) = drawing.figure.axes
    lines = [line_to(ax, cell) for cell in cells]
    assert [line.get_color() == lines[0].get_color() for line in lines] == [True, True, False, False]
    assert [line.get_marker() == lines[0].get_marker() for line in lines] == [True, False, True, False]
    assert "darker is deeper" not in drawing.caption


def test_seeds_of_other_layers_name_the_file(lab):
    for seed in (0, 1):
        lab.finish("a", seed, signals=True)
    lab.responses(lab.run("a", 1), [("x", 0.1)] * 3)
    with pytest.raises(InputError, match=r"a-seed1/responses\.csv: damaged \(3 layers, and 19"):
        draw(lab, lab.grid(["a"], seeds=[0, 1], report={"figures": ["fig7"]}))
    path = lab.run("a", 1).path
    SIGNALS.replace(path, SIGNALS.read(path)[:-3])
    with pytest.raises(InputError, match=r"a-seed1/signals\.csv: damaged"):
        draw(lab, lab.grid(["a"], seeds=[0, 1], report={"figures": ["gradients"]}))


LRS = [0.003, 0.01, 0.03, 0.1, 0.3]


def finish_sweep(lab, decays=(0.0, 0.001), seeds=(0, 1, 2), **content):
    """Learning rates by weight decays; an error of 10 at 0.1, and more on both sides."""
    matrix = {"model.rate.lr": LRS, "model.sgd.weight_decay": list(decays)}
    for i, lr in enumerate(LRS):
        for decay in decays:
            for seed in seeds:
                cell = f"lr={lr},weight_decay={decay}"
                lab.finish(cell, seed, depth=20, test_error=10 + 2 * abs(i - 3) + seed / 10, start=60.0)
    return lab.grid({}, matrix=matrix, seeds=list(seeds), **content)


def test_a_grid_that_names_no_figures_has_its_curves_and_the_error_over_its_axes(lab):
    drawings = draw(lab, finish_sweep(lab))
    assert list(drawings) == ["curves", "sweep"]
    left, right = drawings["curves"].figure.axes
    assert (left.get_title(), right.get_title(), len(right.get_lines())) == ("train error", "test error", 10)
    assert len({(line.get_color(), line.get_linestyle()) for line in right.get_lines()}) == 10
    assert left.get_ylim() == right.get_ylim()
    (legend,) = drawings["curves"].figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == [
        "lr=0.003,weight_decay=0.0",
        "lr=0.003,weight_decay=0.001",
    ]
    (ax,) = drawings["sweep"].figure.axes
    assert (ax.get_xlabel(), ax.get_xscale(), ax.get_ylabel()) == ("lr", "log", "test error %")
    lines = [bars.lines[0] for bars in ax.containers]
    assert [list(line.get_xdata()) for line in lines] == [LRS, LRS]
    assert list(lines[0].get_ydata()) == pytest.approx([16.1, 14.1, 12.1, 10.1, 12.1])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["weight_decay=0.0", "weight_decay=0.001"]
    (stems,) = ax.containers[0].lines[2]
    assert stems.get_segments()[0][:, 1] == pytest.approx([16.0, 16.2]), "three seeds, 0.1 apart"
    for drawing in drawings.values():
        assert len(render(drawing, "svg")) > 10_000
    assert draw(lab, finish_sweep(lab, report={"figures": []})) == {}


def test_of_many_cells_the_best_have_curves_and_combinations_are_points(lab):
    drawings = draw(lab, finish_sweep(lab, decays=[i / 1000 for i in range(10)], seeds=(0,)))
    _, right = drawings["curves"].figure.axes
    assert len(right.get_lines()) == 12
    assert {round(line.get_ydata()[-1]) for line in right.get_lines()} == {10, 12}
    assert "of the 12 cells of the best test error among 50, the best one first" in drawings["curves"].caption
    lr, decay = drawings["sweep"].figure.axes
    assert [len(line.get_xdata()) for line in lr.get_lines()] == [50]
    assert lr.get_lines()[0].get_linestyle() == "None"
    assert [bars.lines[0].get_linestyle() for bars in decay.containers] == ["-"] * 5
    assert decay.get_xscale() == "linear"


def test_the_scale_of_an_axis_with_a_zero(lab):
    _, decay = draw(lab, finish_sweep(lab, decays=[0.0, 1e-4, 1e-2], seeds=(0,)))["sweep"].figure.axes
    assert decay.get_xscale() == "symlog"
    assert [text.get_text() for text in decay.get_xticklabels()] == ["0", "0.0001", "0.01"]


def test_a_figure_of_an_axis_says_what_is_missing_where_it_is_asked_for(lab):
    lab.finish("a")
    drawing = draw(lab, lab.grid({"a": {"model.rate.lr": 1}}, report={"figures": ["sweep"]}))["sweep"]
    assert (drawing.figure, drawing.caption[:32]) == (None, "The grid has no axis of 3 number")
    assert list(draw(lab, lab.grid({"a": {"model.rate.lr": 1}}))) == ["curves"]


def test_default_figures_are_of_any_task(lab, toy):
    for i in range(3):
        lab.finish_toy(f"size={i}", 0, [0.1, 0.2 + i])
    path = lab.toy_grid({f"size={i}": {"model.size": i} for i in range(3)})
    drawings = draw(lab, path)
    assert drawings["sweep"].figure.axes[0].get_ylabel() == "quality"
    assert drawings["curves"].figure.axes[0].get_title() == "quality"


def test_damaged_metrics_name_the_file(lab):
    grid = lab.grid(["res-20"], report=ALL)
    file = METRICS.file(lab.finish("res-20").path)
    head = ",".join(METRICS.columns) + "\n"
    for content, line in {f"{head}x,y\n": 2, f"{head}1,,,,,,,\n2,,,,,,,,\n": 3, "step,train_error\n1,2.0\n": 1}.items():
        file.write_text(content)
        with pytest.raises(InputError, match=rf"res-20-seed0/metrics\.csv, line {line}: damaged"):
            draw(lab, grid)


@pytest.mark.parametrize("page", ["light", "dark"])
def test_deeper_is_darker_in_grey_print(page):
    for depths in ((20, 32, 44, 56, 110, 1202), (18, 34, 50, 101, 152), (8, 26, 38, 50, 62, 164)):
        greys = [luminance(getattr(looks.of_net({"depth": depth}), page)) for depth in depths]
        assert greys == sorted(greys, reverse=True)
        assert all(a / b > 1.08 for a, b in pairwise(greys))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.52, 0.5, 0.9], [0.56, 0.46, 0.9]),
        ([0.0, 0.01], [0.0, 0.1]),
        ([1.0, 0.99], [1.0, 0.9]),
    ],
)
def test_labels_keep_apart_and_near_their_lines(wanted, expected):
    assert style.keep_apart(wanted, 0.1, 0.0, 1.0) == pytest.approx(expected)


def test_more_labels_than_fit_stand_evenly():
    assert style.keep_apart([0.5] * 5, 0.5, 0.0, 1.0) == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
