"""The live stream of events: `config.live` serves it in a process of its own."""
