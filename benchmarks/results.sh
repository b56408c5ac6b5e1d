#!/usr/bin/env bash
# Makes what lies in results/: launches a grid (what is done stays), and copies the words and pictures of its report.
#
#   benchmarks/results.sh imagenette results/imagenette --set data.root=/data/imagenette-128
#
# On a GPU `imagenette` is 12 runs of a few minutes. Hardware, data, seeds, n and date are in the notes under the tables.
set -euo pipefail
grid=$1 target=$2
shift 2
lit-resnet launch "$grid" "$@"
mkdir -p "$target"
shopt -s nullglob # a grid of detectors that the paper has no numbers of has no claims
cp "runs/$grid"/report/{claims.*,curves.csv.gz,*table*.csv,*table*.md,figures/*} "$target"
rm -f "$target"/detections.svg # photographs: the PNG is enough
