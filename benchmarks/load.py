"""Send requests over keep-alive connections from one process, as fast as a server answers."""

import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle


class Connection:
    """One keep-alive connection, with one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, path: str) -> None:
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def receive(self) -> bool:
        """Read the available bytes and return whether the response is complete.

        Raises `RuntimeError` for any status but 200.
        """
        self.buffer += self.socket.recv(262_144)
        head, split, body = self.buffer.partition(b"\r\n\r\n")
        if not split:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self.buffer[:400].decode(errors="replace"))
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        self.buffer = b""
        return True


def measure_rate(
    port: int, paths: Iterator[str], *, seconds: float = 3, connections: int = 16
) -> float:
    """Return the requests per second over this many connections."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(next(paths))
    responses, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        for key, _ in selector.select(1):
            if key.data.receive():
                responses += 1
                key.data.send(next(paths))
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return responses / elapsed


def measure_median_ms(port: int, paths: Iterator[str], *, requests: int) -> float:
    """Return the median time of sequential requests in milliseconds."""
    connection = Connection(port)
    times = [_time(connection, next(paths)) for _ in range(requests)]
    connection.socket.close()
    return statistics.median(times) * 1000


def _time(connection: Connection, path: str) -> float:
    """Return the seconds that a request takes."""
    started = time.perf_counter()
    connection.send(path)
    while not connection.receive():
        pass
    return time.perf_counter() - started


def repeat_path(path: str) -> Iterator[str]:
    return cycle([path])


def distinct_paths(make_path: Callable[[int], str]) -> Iterator[str]:
    """Yield a new path each time, so that no cache has its answer."""
    return map(make_path, count(1))
