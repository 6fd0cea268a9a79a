"""File names and patterns of the output of evaluations, sweeps, reports and training runs."""

from __future__ import annotations

# Including the files that SQLite keeps beside a database.
EVALUATION_FILES = ("results.sqlite", "results.sqlite-*", "results.json", "predictions.csv")
SWEEP_FILES = (
    "identity.json",
    "sweep.json",
    "sweep.csv",
    "pareto.png",
    "pareto.svg",
    "[2-8]-bit/net.h5",
    "[2-8]-bit/*_*.json",
    *(f"[2-8]-bit/{name}" for name in EVALUATION_FILES),
)
REPORT_FILES = (
    "index.html",
    "report.json",
    "layers.csv",
    "accounting.csv",
    "energy.csv",
    "predictions.csv",
    "run.png",
    "run.svg",
)
TENSORBOARD_FILES = ("events.out.tfevents.*",)
DEMO_FILES = ("model.pt", "model.pt.resume", "net.h5", "report.json", "spikes.png")
