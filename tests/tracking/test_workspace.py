"""The W&B report of a grid: its blocks, and what is sent to a stand-in for the server."""

import errno
import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import yaml
from lab import QUALITY

from lit_resnet.cli import main
from lit_resnet.errors import InputError, Unreachable
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load
from lit_resnet.metrics import TEST_ERROR, TRAIN_ERROR
from lit_resnet.report import runs
from lit_resnet.report.figures import sweep
from lit_resnet.tracking import entry, session, workspace

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr
TITLE = "50 % / #1? <img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) | $x$"


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """All processes that share the tests read this file, and importing W&B's client takes seconds."""
    globals()["wr"] = pytest.importorskip("wandb_workspaces.reports.v2", reason="wandb-workspaces is not installed")


def report(lab, *, finished, queued=(), name="tiny", command="lit-resnet launch tiny", **content) -> "wr.Report":
    """Of a grid whose cells `finished` (name: what Lab.finish takes) have two seeds each."""
    grid = lab.grid([*finished, *queued], name=name, seeds=[0, 1], **content)
    for cell, net in finished.items():
        for seed in (0, 1):
            lab.finish(cell, seed, grid=name, **net)
    return workspace.build(runs.read(Asked(grid, root=lab.root)), "team", "resnets", command)


PLAIN = {"shortcut": "none", "test_error": 9.25}
NETS = {"plain-20": PLAIN, "residual-20": {"test_error": 8.5}}


def blocks(report: "wr.Report", kind: type) -> list:
    return [block for block in report.blocks if isinstance(block, kind)]


def words(report: "wr.Report") -> str:
    """Everything that is to be read in paragraphs and headings."""
    texts = [block.text for block in report.blocks if isinstance(block, wr.P | wr.H2)]
    pieces = [piece for text in texts for piece in (text if isinstance(text, list) else [text])]
    return "\n".join(piece if isinstance(piece, str) else piece.text for piece in pieces)


def filters(run_set: "wr.Runset") -> dict:
    """What W&B is sent, by key."""
    from wandb_workspaces import expr

    made = expr.filters_tree_to_v2(expr.expr_to_filters(run_set.filters))["filters"]
    return {(item["key"]["section"], item["key"]["name"]): (item["op"], item["value"]) for item in made}


def test_says_which_grid_and_what_is_missing(lab):
    text = words(
        report(lab, finished=NETS, queued=["residual-56"], title="Twins", command="lit-resnet launch tiny --set a=1")
    )
    assert "Twins. Grid tiny: cifar10, 600 iterations of 128 images; n = 2 seeds a net; cpu: AMD EPYC" in text
    assert "4 of 6 runs finished (2 queued). Missing in the numbers: residual-56 (2 runs)." in text
    assert "lit-resnet launch tiny --set a=1" in text


def test_tables_stand_beside_the_papers_values(lab):
    made = report(lab, finished=NETS)
    table, sentences = (block.text for block in blocks(made, wr.MarkdownBlock))
    assert "| ResNet-20 | 8.50±0.00 | 8.75 | 0.50±0.00 | 2 | 20 | 0.27M | 40.6 |" in table
    assert "Residual nets test better than plain nets of the same depth" in sentences
    headings = [heading.text for heading in blocks(made, wr.H2)]
    assert headings == ["All nets", "Curves of all cells", "The paper's sentences", "All runs"]


def test_tables_of_imagenet(lab):
    nets = {name: {"data.source": "imagenet"} for name in ("plain-18", "ResNet-18")}
    grid = lab.grid(nets, report={"tables": ["table2"], "figures": ["fig4"]})
    lab.photographs("plain-18", shortcut="none", ten_crop=(28.5, 9.9))
    lab.photographs("ResNet-18", ten_crop=(27.25, 9.1))
    made = workspace.build(runs.read(Asked(grid, root=lab.root)), "team", "resnets", "lit-resnet launch tiny")
    first, second, *_ = blocks(made, wr.MarkdownBlock)
    assert "| 18 layers | 28.50 | 27.94 | 27.25 | 27.88 |" in first.text
    assert "ResNet-18" in second.text
    assert [heading.text for heading in blocks(made, wr.H2)][:3] == [
        *("Table 2", "All nets", "Plain and residual nets, in the manner of Fig. 4")
    ]
    assert blocks(made, wr.PanelGrid)[0].panels[1].title == "validation error"


def test_curves_compare_plain_and_residual_nets(lab):
    made = report(lab, finished={**NETS, "VGG": PLAIN | {"family": "vgg"}}, report={"figures": ["fig6"]})
    grid = blocks(made, wr.PanelGrid)[0]
    assert [(run_set.entity, run_set.project, run_set.name) for run_set in grid.runsets] == [
        ("team", "resnets", "plain nets"),
        ("team", "resnets", "residual nets"),
    ]
    assert [filters(run_set) for run_set in grid.runsets] == [
        {("run", "group"): ("=", "tiny"), ("config", "cell"): ("IN", [cell])} for cell in ("plain-20", "residual-20")
    ]
    for panel, metric in zip(grid.panels, (TRAIN_ERROR, TEST_ERROR), strict=True):
        sent = panel._to_model().config
        assert (sent.x_axis, sent.metrics) == ("trainer/global_step", [metric.name])
        assert (sent.group_by, sent.group_agg, sent.group_area, sent.aggregate) == (
            "cell.value",
            "mean",
            "minmax",
            True,
        )
        assert (sent.x_axis_title, sent.y_axis_title) == ("iteration", metric.head)
        assert (sent.y_axis_min, sent.y_axis_max, sent.limit) == (0, 20, 6)
    assert "plain-20 9.25±0.00 (–), residual-20 8.50±0.00 (8.75)." in words(made)


def test_curves_have_the_scale_of_the_drawn_figure_and_all_errors_below(lab):
    made = report(lab, finished=NETS | {"plain-56": PLAIN | {"test_error": 88}}, report={"figures": ["fig6"]})
    panel = blocks(made, wr.PanelGrid)[0].panels[0]
    assert (panel.log_y, panel.range_y) == (None, (0, 20))
    assert "What ends above the axis is not drawn: the errors of all nets are below." in words(made)
    assert "plain-56 88.00" in words(made)


def test_fig1_is_of_plain_nets_alone(lab):
    made = report(lab, finished=NETS, report={"figures": ["fig1"]})
    assert [run_set.name for run_set in blocks(made, wr.PanelGrid)[0].runsets] == ["plain nets"]


def test_fig7_shows_the_images_of_the_runs(lab):
    grid = blocks(report(lab, finished=NETS, report={"figures": ["fig7"]}), wr.PanelGrid)[0]
    assert grid.panels[0]._to_model().config.media_keys == ["fig7"]
    assert len(grid.runsets) == 2


def test_a_figure_without_data_says_so(lab):
    nets = {"residual-20": {"responses": False}}
    made = report(lab, finished=nets, report={"figures": ["fig1", "fig7", "gradients"]})
    assert "No finished run of a plain net left a curve." in words(made)
    assert "No finished run measured its layer responses." in words(made)
    assert "No finished run measured its signals" in words(made)
    assert len(blocks(made, wr.PanelGrid)) == 1


def test_a_figure_that_wandb_has_not(lab):
    made = report(lab, finished={"residual-20": {"signals": True}}, report={"figures": ["gradients"]})
    assert "lit-resnet report draws it, as figures/gradients.png" in words(made)


def test_a_grid_that_names_no_figures_has_the_curves_of_all_cells(lab):
    nets = {name: {**net, "train_error": 5.0} for name, net in NETS.items()}
    grid = blocks(report(lab, finished=nets, queued=["residual-56"]), wr.PanelGrid)[0]
    assert [filters(run_set) for run_set in grid.runsets] == [{("run", "group"): ("=", "tiny")}]
    sent = [panel._to_model().config for panel in grid.panels]
    assert [(one.chart_title, one.metrics, one.y_axis_title) for one in sent] == [
        (metric.label, [metric.name], metric.head) for metric in (TRAIN_ERROR, TEST_ERROR)
    ]
    assert {(one.group_by, one.y_axis_min, one.y_axis_max) for one in sent} == {("cell.value", 0, 20)}
    assert [(panel.layout.x, panel.layout.w) for panel in grid.panels] == [(0, 12), (12, 12)]


def test_of_many_cells_the_best_ones_are_drawn(lab, monkeypatch):
    monkeypatch.setattr(sweep, "MOST_CELLS", 1)
    (run_set,) = blocks(report(lab, finished=NETS), wr.PanelGrid)[0].runsets
    assert run_set.name == "the 1 best nets"
    assert filters(run_set)["config", "cell"] == ("IN", ["residual-20"])


def test_curves_of_another_task(lab, toy):
    grid = lab.toy_grid(["a"])
    lab.finish_toy("a", 0, [0.5, 0.75])
    made = workspace.build(runs.read(Asked(grid, root=lab.root)), "team", "resnets", "lit-resnet launch toys")
    (panel,) = blocks(made, wr.PanelGrid)[0].panels
    assert (panel.title, panel.y, panel.title_y) == (QUALITY.label, [QUALITY.name], QUALITY.head)


def test_the_error_over_each_axis_of_numbers_is_where_the_mirror_has_it(lab):
    """One axis is named as something that the mirror tells of every run, and one has words."""
    rates = {"cold": 0.001, "warm": 0.01, "hot": 0.1}
    cells = {
        name: {"model.rate.lr": rate, "model.net.own_args.seed": i, "model.net.shortcut": "AAB"[i]}
        for i, (name, rate) in enumerate(rates.items())
    }
    path = lab.grid(cells, seeds=[0, 1])
    grid = load(path)
    for i, cell in enumerate(grid.cells):
        shortcut = cell.overrides["model.net.shortcut"]
        run = lab.finish(cell.name, cell.seed, test_error=10.0 + i, shortcut=shortcut, responses=False)
        run.config_file.write_text(yaml.safe_dump(grid.config(cell)))
        run.cell_file.write_text(yaml.safe_dump(grid.config(cell)))
    panels = blocks(workspace.build(runs.read(Asked(path, root=lab.root)), "team", "resnets", ""), wr.PanelGrid)[1]
    assert filters(panels.runsets[0]) == {("run", "group"): ("=", "tiny"), ("summary", "state"): ("=", "done")}
    sent = [panel._to_model().config for panel in panels.panels]
    assert [(one.x_axis, one.x_axis_log_scale, one.y_axis_log_scale) for one in sent] == [
        ("config:lr.value", True, False),
        ("config:model.value.net.own_args.seed", False, False),
    ]
    assert sent[0].chart_title == f"{TEST_ERROR.head} over lr"
    assert {one.y_axis for one in sent} == {f"summary:{TEST_ERROR.name}"}
    for cell in grid.cells:
        run = lab.run(cell.name, cell.seed)
        told = entry.of_run(grid, cell, run).config
        assert (told["lr"], told["seed"]) == (cell.overrides["model.rate.lr"], cell.seed)
        assert told["model"]["net"]["own_args"]["seed"] == cell.overrides["model.net.own_args.seed"]
        assert TEST_ERROR.name in run.summary().content()


def test_lists_all_runs(lab):
    run_set = blocks(report(lab, finished=NETS, queued=["residual-56"]), wr.PanelGrid)[-1].runsets[0]
    assert filters(run_set) == {("run", "group"): ("=", "tiny")}
    assert {"config:seed.value", "summary:test_error", "summary:paper/test_error"} <= set(run_set.visible_columns)


def test_a_hostile_title_is_text(lab):
    made = report(lab, finished=NETS, title=TITLE)
    assert words(made).startswith(TITLE)  # of paragraphs and headings W&B reads no Markdown
    for block in blocks(made, wr.MarkdownBlock):
        assert not re.search(r"(?<!\\)(<img|\*\*bold|\[link)", block.text)
    assert made.title == "50 1 <img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) | $x$"


def test_a_long_title_is_cut_and_an_empty_one_is_the_grids_name(lab):
    assert report(lab, finished=NETS, title="x" * 200).title == "x" * 128
    assert report(lab, finished=NETS, title="///").title == "tiny"


@pytest.mark.parametrize(
    "name", ["it's", 'a "b"', "lr=0.1", "a<b>=c", "back\\slash", "größer 😀", "x' or Config('a') != '"]
)
def test_any_name_of_a_grid_is_filtered_for(lab, name):
    made = report(lab, finished=NETS, name=name, report={"figures": ["fig6"]})
    assert [filters(run_set)["run", "group"] for grid in blocks(made, wr.PanelGrid) for run_set in grid.runsets] == [
        *[("=", name)] * 3
    ]


def test_says_what_to_install(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(InputError, match="pip install wandb-workspaces"):
        report(lab, finished=NETS)


class Server(BaseHTTPRequestHandler):
    """Answers what a save asks. It has one project, `resnets`; its reports are `views`, by their ids."""

    views: dict[str, dict] = {}  # noqa: RUF012 - every request makes a handler of its own
    refused = ""

    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(said) if self.path == "/graphql" else {"query": ""}  # the rest is telemetry
        if "mutation" in asked["query"] and self.refused:
            answer = json.dumps({"errors": [{"message": self.refused}]}).encode()
        else:
            answer = json.dumps({"data": self.answer(asked["query"], asked.get("variables") or {})}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, query: str, variables: dict) -> dict:
        end = {"endCursor": None, "hasNextPage": False}
        known = (variables.get("projectName") or variables.get("project")) == "resnets"
        if "query ProjectViews(" in query:
            edges = [{"cursor": "", "node": view} for view in self.views.values()]
            return {"project": {"allViews": {"edges": edges, "pageInfo": end}} if known else None}
        if "query ProjectInternalId(" in query:
            return {"project": {"id": "1", "internalId": "2"} if known else None}
        if "query GetProjects(" in query:
            project = {"id": "1", "name": "resnets", "entityName": "team", "createdAt": "2026-11-03T10:20:30"}
            node = {"__typename": "Project", "isBenchmark": False, "user": None, **project}
            return {"models": {"edges": [{"node": node}], "pageInfo": {"__typename": "PageInfo", **end}}}
        if "mutation upsertView(" in query:
            view = {**variables, "id": variables["id"] or f"view{len(self.views)}"}
            self.views[view["id"]] = view
            project = {"id": "1", "name": "resnets", "entityName": "team"}
            return {"upsertView": {"view": {**view, "project": project}, "inserted": True}}
        return {"viewer": {"id": "1", "entity": "team", "username": "someone", "flags": "{}", "teams": {"edges": []}}}

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[type[Server]]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{http.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(Server, "views", {})
    yield Server
    import_module("wandb").teardown()  # its process does not outlive the server that it asks
    http.shutdown()
    http.server_close()


def test_is_published_once_a_grid(lab, server):
    url = workspace.publish(report(lab, finished=NETS, title="Twins / 20", report={"figures": ["fig6"]}))
    assert url.endswith("/team/resnets/reports/Twins-20--view0")
    other = workspace.publish(report(lab, finished=NETS, name="other", title="Twins / 20"))
    again = workspace.publish(report(lab, finished=NETS, title="Twins, anew"))
    assert (other[-7:], again[-19:]) == ("--view1", "/Twins,-anew--view0")
    assert [(view["type"], view["displayName"]) for view in server.views.values()] == [
        ("runs", "Twins, anew"),
        ("runs", "Twins 20"),
    ]
    spec = json.loads(server.views["view0"]["spec"])
    assert [block["type"] for block in spec["blocks"]].count("panel-grid") == 2


def test_a_project_that_is_not_there(lab, server):
    made = report(lab, finished=NETS)
    made.project = "elsewhere"
    with pytest.raises(InputError, match="W&B: no project team/elsewhere: run lit-resnet wandb sync first"):
        workspace.publish(made)
    assert not server.views


def test_a_disk_of_ours_is_not_wandbs_fault():
    with pytest.raises(PermissionError), session.reaching():
        raise PermissionError(errno.EACCES, "Permission denied", "runs/tiny")
    for error in (ConnectionError(errno.ECONNREFUSED, "refused"), RuntimeError("500")):
        with pytest.raises(Unreachable, match="the server does not answer"), session.reaching():
            raise error


def test_what_wandb_refuses(lab, server, monkeypatch):
    made = report(lab, finished=NETS)
    monkeypatch.setattr(Server, "refused", "permission denied")
    with pytest.raises(Unreachable, match="does not take the key, or not for this project"):
        workspace.publish(made)


def test_without_a_key(lab, server, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    made = report(lab, finished=NETS)
    with pytest.raises(InputError, match="not logged in: run wandb login"):
        workspace.publish(made)


def test_the_command_prints_the_address(lab, server, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "resnets")
    grid = lab.grid(list(NETS), seeds=[0])
    for name, net in NETS.items():
        lab.finish(name, 0, **net)
    assert main(["wandb", "report", grid, "--root", str(lab.root)]) == 0
    assert capsys.readouterr().out.endswith("/team/resnets/reports/tiny--view0\n")
