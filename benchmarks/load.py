"""Requests over keep-alive connections as fast as a server answers, from one process."""

import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle


class Connection:
    """One keep-alive connection that sends a request as soon as the last was answered."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, path: str) -> None:
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def answered(self) -> bool:
        """Read what is there; whether it completes an answer. Any but a 200 ends the run."""
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


def rate(port: int, paths: Iterator[str], *, seconds: float = 3, connections: int = 16) -> float:
    """Requests a second over so many connections."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(next(paths))
    answered, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        for key, _ in selector.select(1):
            if key.data.answered():
                answered += 1
                key.data.send(next(paths))
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return answered / elapsed


def median_ms(port: int, paths: Iterator[str], *, count: int) -> float:
    """The median time of so many requests, one after the other, in milliseconds."""
    connection = Connection(port)
    times = [_time(connection, next(paths)) for _ in range(count)]
    connection.socket.close()
    return statistics.median(times) * 1000


def _time(connection: Connection, path: str) -> float:
    started = time.perf_counter()
    connection.send(path)
    while not connection.answered():
        pass
    return time.perf_counter() - started


def always(path: str) -> Iterator[str]:
    return cycle([path])


def numbered(make: Callable[[int], str]) -> Iterator[str]:
    """A new path each time, so that no cache has its answer."""
    number = 0
    while True:
        number += 1
        yield make(number)
