"""Metrics for operators, served at `/metrics` in Prometheus' format; `docs/metrics.md` lists them.

Each module that records something declares its counters and histograms with `registry`, mostly in
a `metrics.py` of its own. Their values are summed over all processes of one machine
(`multiprocess`). Gauges that are read from the database at each scrape are registered with
`scrape.register_database_collector`, in `AppConfig.ready`.
"""
