"""Texts from data, such as descriptions of products, by any OpenAI-compatible provider."""

import asyncio

from common.ai.provider.answer_format import remove_unfinished_end
from common.ai.provider.model import ProviderModel
from common.ai.provider.prompts import build_writing_messages
from common.ai.provider.retries import TextTooLongError
from common.ai.types import NO_RECORDER, ProviderTimeout, Recorder, SummaryRefused, WritingTask
from common.event_loop import run_in_calling_thread


class OpenAIWriter(ProviderModel):
    """Writes texts with a `ProviderModel`, one request after the other."""

    def write(
        self, task: WritingTask, *, time_limit_s: float, recorder: Recorder = NO_RECORDER
    ) -> str:
        """See `Writer.write`. Don't call it in a thread with a running event loop."""
        return run_in_calling_thread(self._write(task, time_limit_s, recorder))

    async def _write(self, task: WritingTask, time_limit_s: float, recorder: Recorder) -> str:
        messages = build_writing_messages(task)
        try:
            async with asyncio.timeout(time_limit_s), self.open_session(recorder) as session:
                response = await session.request_answer(messages, max_words=task.max_words)
        except TimeoutError:
            raise ProviderTimeout("the provider did not answer in time") from None
        except TextTooLongError:
            raise SummaryRefused("the model's context has too little room for the text") from None
        if response.is_truncated:
            return remove_unfinished_end(response.text, is_list=False)
        return response.text
