"""The version of this release, defined only here."""

VERSION = "1.0.0"
