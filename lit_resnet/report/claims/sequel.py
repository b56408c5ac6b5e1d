"""Sentences about shortcuts that are not identities, and about orders of BN and ReLU.

Those of *Identity Mappings in Deep Residual Networks* (arXiv 1603.05027), and the first paper's on highway nets. A net
is compared with its twin that differs in the shortcut, or in the order, alone.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import product

from lit_resnet import paper
from lit_resnet.report.claims.alike import Group, Net
from lit_resnet.report.claims.asking import Compared, Couples, compare, limited, no_worse, value_of
from lit_resnet.report.claims.measures import TEST, TRAIN

TABLE1 = "identity-table1"
IDENTITIES = (("scale", 1.0), ("dropout", 0.0))  # gates with a number that leaves the shortcut as it is
NOTE = (
    "A net with other shortcuts, or in another order, is compared with the net that differs in nothing else, with and "
    "without weight decay on the biases of its gates. Training errors of nets with dropout are with dropout."
)


def _from_identity(group: Group, *gates: str) -> Couples:
    """Each net with its shortcuts as they are, and each that differs in having one of these gates there."""
    gated = [n for n in group.nets if n.gate in gates and (n.gate, n.gate_value) not in IDENTITIES]
    return [couple for couple in product(group.of_the_paper, gated) if couple[0].like(couple[1], "gate", "gate_value")]


def _from_option_a(group: Group) -> Couples:
    """Each net of option A, and the same with option C."""
    nets = group.of_the_paper
    couples = [(a, c) for a, c in product(nets, nets) if (a.shortcut, c.shortcut) == ("A", "C")]
    return [(a, c) for a, c in couples if a.like(c, "shortcut")]


def _from_original(group: Group, *orders: str) -> Couples:
    """Each net in the first paper's order, and the same in one of these orders."""
    others = [net for net in group.nets if net.order in orders]
    return [couple for couple in product(group.of_the_paper, others) if couple[0].like(couple[1], "order")]


def _failing(group: Group) -> Compared:
    """Nets that fail in Table 1 do so here, if they were trained as there."""
    rows = [row for row in paper.load()[TABLE1]["rows"] if row["error"] == paper.FAIL] if group.as_in_the_paper else []
    nets = [net for net in group.nets if any(paper.is_row(net.config, TABLE1, row) for row in rows)]
    return limited(nets, ">", value_of("failing_shortcuts_fail"), TEST)


def highway(group: Group) -> Compared:
    """Of each kind of highway net the deepest of at most 100 layers is no worse than any that is deeper."""
    most = value_of("highway_no_gain_beyond_100")
    kinds: dict[tuple, list[Net]] = defaultdict(list)
    for net in group.nets:
        if net.block == "highway":
            kinds[net.shortcut, net.gate_value, net.decay_gates].append(net)
    couples = []
    for nets in kinds.values():
        shallow = max((net for net in nets if net.depth <= most), key=lambda net: net.depth, default=None)
        couples += [(shallow, net) for net in nets if shallow and net.depth > most]
    return no_worse(group, couples, "<", TEST)


CHECKS: dict[str, Callable[[Group], Compared]] = {
    "failing_shortcuts_fail": _failing,
    "scaled_shortcuts_worse": lambda group: compare(_from_identity(group, "scale", "half"), "<", TRAIN, TEST),
    "exclusive_gates_worse": lambda group: compare(_from_identity(group, "exclusive"), "<", TRAIN, TEST),
    "shortcut_gates_worse": lambda group: compare(_from_identity(group, "shortcut"), "<", TRAIN, TEST),
    "convolved_shortcuts_worse": lambda group: compare(_from_option_a(group), "<", TRAIN, TEST),
    "dropped_shortcuts_worse": lambda group: compare(_from_identity(group, "dropout"), "<", TRAIN, TEST),
    "late_activation_worse": lambda group: compare(_from_original(group, "bn-after", "relu-before"), "<", TEST),
    "preactivation_tests_better": lambda group: compare(_from_original(group, "full"), ">", TEST),
}
