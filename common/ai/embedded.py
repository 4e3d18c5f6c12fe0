from common.ai import extractive
from common.ai.types import (
    NO_RECORDER,
    Progress,
    Recorder,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    no_progress,
)


class EmbeddedSummarizer:
    """The summariser that needs no provider: the text's own most telling sentences."""

    model = extractive.MODEL

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: Recorder = NO_RECORDER,
        progress: Progress = no_progress,
    ) -> SummaryResult:
        try:
            text = extractive.summarize(request.text, max_words=request.max_words)
        except ValueError as error:
            raise SummaryRefused(str(error)) from None
        progress(1, 1)
        return SummaryResult(text=text, model=self.model)
