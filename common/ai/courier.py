"""The process that asks the provider, and sees each request to its end.

    worker                             courier              provider
      ├── a socket for one request ──────▶│
      │◀───────────────────────── READY ──┤
      ├── what to ask ───────────────────▶├── the request ──────▶│
      │◀──────────────────── the reply ───┤◀── the answer ───────┤
      ├── RECORDED ──────────────────────▶│

A worker may be killed, give a summary up or wait no longer: the provider answers all the same, and
wants to be paid. So an answer is waited for here, and where its socket closes without `RECORDED`,
a management command is told what it cost.

`dispatch.py` starts one courier for each process that asks. It is in a session of its own and
nobody's child, so that nothing that ends its worker ends it too, and it has no Django, so that it
stays small. When its worker is gone and all is answered and told, it ends.
"""

import asyncio
import csv
import io
import json
import os
import signal
import socket
import sys
from contextlib import closing, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from common.ai.provider.client import ask, connect
from common.ai.provider.responses import NO_USAGE, Reply
from common.ai.provider.transport import LONGEST_LINE, READY, RECORDED
from common.ai.types import Usage

if TYPE_CHECKING:
    import openai

LATE = 30.0  # seconds after its time limit in which an answer, which is paid for, is still read
LAST_WORDS = 180.0  # seconds after that in which its cost is put down, the database being away
FIRST_PAUSE = 2.0  # seconds until the command that puts costs down is tried again; then doubled


class Courier:
    """`command` is told of answers that nobody took, as `reconcile_calls` is by a provider."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._clients: dict[str, openai.AsyncOpenAI] = {}
        self._longest = 0.0  # seconds that a request may take
        self._untold: dict[str, Usage] = {}
        self._telling = asyncio.Lock()

    async def serve(self, worker: socket.socket) -> None:
        """See to the requests whose sockets come from `worker`, until it is gone."""
        tasks: set[asyncio.Task[None]] = set()
        while sockets := await asyncio.to_thread(_received, worker):
            task = asyncio.create_task(self._see_to(*sockets))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        signal.alarm(round(self._longest + LATE + LAST_WORDS))  # it is over then, come what may
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_to(self, line: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=line, limit=LONGEST_LINE)
        with closing(writer):
            writer.write(READY)
            if order := await _line(reader):
                request = json.loads(order)
                reply = await self._asked(**request)
                writer.write(json.dumps(asdict(reply)).encode() + b"\n")
                if reply.usage != NO_USAGE and await _line(reader) != RECORDED:
                    await self._tell(request["request_id"], reply.usage)

    async def _asked(
        self, endpoint: dict[str, Any], params: dict[str, Any], request_id: str
    ) -> Reply:
        client = self._clients.get(key := json.dumps(endpoint))
        if client is None:
            client = self._clients[key] = connect(**endpoint, late=LATE)
        self._longest = max(self._longest, endpoint["timeout"])
        return await ask(client, params, endpoint["timeout"] + LATE, request_id=request_id)

    async def _tell(self, request_id: str, usage: Usage) -> None:
        """What comes while the command runs goes with its next run, and so does what it refused."""
        self._untold[request_id] = usage
        async with self._telling:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS - 10):
                    await self._tell_all()
            if self._untold:
                costs = {request_id: asdict(used) for request_id, used in self._untold.items()}
                _complain(f"{self._command} fails; costs put down nowhere: {json.dumps(costs)}")

    async def _tell_all(self) -> None:
        pause = FIRST_PAUSE
        while self._untold and not await self._told():
            await asyncio.sleep(pause)
            pause *= 2

    async def _told(self) -> bool:
        books, self._untold = self._untold, {}
        done = False
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "django", self._command, "-"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
            )
            await process.communicate(_as_csv(books).encode())
            done = process.returncode == 0
        except OSError as error:  # no memory for another process, say
            _complain(f"{self._command} does not start: {error}")
        finally:
            if not done:
                self._untold = books | self._untold
        return done


def _complain(words: str) -> None:
    with suppress(OSError):  # who reads it may have gone with the worker
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()


def _received(worker: socket.socket) -> list[socket.socket]:
    """The socket of the next request; nothing when the worker is gone."""
    _, descriptors, _, _ = socket.recv_fds(worker, 1, 1)
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


async def _line(reader: asyncio.StreamReader) -> bytes:
    """A whole line, or nothing where who writes has gone in the middle of it."""
    with suppress(ConnectionError):
        line = await reader.readline()
        return line if line.endswith(b"\n") else b""
    return b""


def _as_csv(books: dict[str, Usage]) -> str:
    text = io.StringIO()
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    rows = csv.writer(text)
    rows.writerow(("id", *names))
    rows.writerows(
        (request_id, used.prompt, used.completion, used.cached, used.reasoning)
        for request_id, used in books.items()
    )
    return text.getvalue()


def main(command: str, _worker: str) -> None:
    """Serve the worker whose socket is the standard input, as a process without a parent.

    Its pid is there for who looks at a list of processes.
    """
    if os.fork():
        os._exit(0)
    # Who stops all processes of a service would cut off what the worker still waits for.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(Courier(command).serve(socket.socket(fileno=0)))


if __name__ == "__main__":
    main(*sys.argv[1:])
