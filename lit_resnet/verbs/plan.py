"""`lit-resnet plan`: the runs of a grid, which of them are done, and what the others cost."""

import argparse
import sys

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.of_grid(parser)
    options.cells(parser)
    options.form(parser, "commands")
    parser.description = (
        "Checks every cell. --format commands prints a line for each run that is not done, for another scheduler: "
        "lit-resnet run GRID CELL, which trains that run alone."
    )


def run(args: argparse.Namespace) -> int:
    """Check the cells, and print a row or a command for each."""
    from lit_resnet.listing import duration, numbered, spinner
    from lit_resnet.verbs.terminal import MOST_LINES, show_some

    asked = options.asked(args)
    grid = asked.grid.part(args.cells)
    if args.format == "commands":
        with spinner("loading torch and lightning, checking every cell"):
            from lit_resnet.launch import plan

            commands = plan.commands(asked, grid)
        print("".join(f"{command}\n" for command in commands), end="")
        return 0
    with spinner("loading torch and lightning, checking every cell, timing two nets"):
        from lit_resnet.launch import plan, starts
        from lit_resnet.report.claims import power

        rows, decided = plan.rows(grid, asked.root), power.needed(grid)
    show_some(rows, rows[:MOST_LINES], plan.columns(rows), args.format, grid.title, plan.EXPENDABLE)
    missing = [row for row in rows if row["state"] != "done"]
    print(
        f"{numbered(len(rows), 'run')}, {len(rows) - len(missing)} done; to do: "
        f"{sum(row['training_macs'] for row in missing) / 1e15:,.3g} PFLOPs (multiply-adds, forward and backward), "
        f"about {duration(sum(row['seconds'] for row in missing))} of one GPU here, or of one core where there is none",
        file=sys.stderr,
    )
    lacking = {(row["cell"], row["seed"]) for row in rows if row["start_lacks"]}
    if words := starts.missing(grid, (cell for cell in grid.cells if (cell.name, cell.seed) in lacking)):
        print(words, file=sys.stderr)
    for needed in decided:
        print(needed, file=sys.stderr)
    return 0
