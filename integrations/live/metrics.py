from common.metrics.registry import counter, gauge

STREAMS = gauge("live_streams", "Open streams of events.")
CLOSED_STREAMS = counter("live_streams_closed_total", "Streams that have ended.", "reason")
