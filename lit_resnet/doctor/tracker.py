"""Weights & Biases: what launches would do, and who one is there."""

from lit_resnet.doctor.finding import Finding, Site, advice, ok, unknown, wrong
from lit_resnet.errors import InputError, Unreachable
from lit_resnet.tracking import session


def look(site: Site) -> list[Finding]:
    """One finding."""
    try:
        mode = session.wanted()
        if mode == "disabled":
            return [unknown("W&B: turned off (WANDB_MODE=disabled); all results are in the run folders")]
        if mode == "offline":
            return [
                unknown(
                    "W&B: offline, as nobody is logged in or WANDB_MODE says so; `lit-resnet wandb sync` uploads later"
                )
            ]
        return [ok(f"W&B: reached; runs go to {session.entity()}/{session.project()}")]
    except Unreachable as error:
        return [
            advice(
                f"W&B: {error}",
                "runs train all the same, and `lit-resnet wandb sync` uploads them from a machine that reaches it",
            )
        ]
    except InputError as error:
        return [wrong(str(error), "or set WANDB_MODE=disabled")]
