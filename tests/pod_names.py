"""A name server that knows no name, and remembers who asked for which."""

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread


@contextmanager
def name_server(address: str, known: Collection[str]) -> Iterator[dict[str, set[str]]]:
    """Address -> the names that it asked for, as they come in.

    Args:
        address: where questions are answered, at port 53.
        known: names of which nothing is remembered, as whoever asks finds them elsewhere.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        questions = _Questions(server, frozenset(known))
        thread = Thread(target=questions.answer)
        thread.start()
        try:
            yield questions.names
        finally:
            questions.is_over.set()
            thread.join()


@dataclass(slots=True)
class _Questions:
    server: socket.socket
    known: frozenset[str]
    names: dict[str, set[str]] = field(default_factory=dict)
    is_over: Event = field(default_factory=Event)

    def answer(self) -> None:
        """Until it is over."""
        self.server.settimeout(0.2)
        while not self.is_over.is_set():
            with suppress(TimeoutError):
                question, (address, port) = self.server.recvfrom(512)
                name = name_in(question)
                # Whose an address is leads nobody anywhere.
                if name not in self.known and not name.endswith(".in-addr.arpa"):
                    self.names.setdefault(address, set()).add(name)
                # The question again, as an answer: there is no such name.
                self.server.sendto(question[:2] + b"\x81\x83" + question[4:], (address, port))


def name_in(question: bytes) -> str:
    """The name that a DNS message asks for first: RFC 1035, 4.1.2."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels)
