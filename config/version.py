"""The release: the only place that names it."""

VERSION = "1.0.0"
