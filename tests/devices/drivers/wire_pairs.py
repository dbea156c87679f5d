"""A peer that knows a conversation by heart: (sent, answered) pairs, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from devices.transports import loop

Pair = tuple[str | bytes, str | bytes | None]


class Conversation:
    """Fails on the first line that is not the one in the script; None is no answer."""

    def __init__(self, pairs: list[Pair]) -> None:
        self.left = list(pairs)
        self._answers: list[bytes] = []
        self._in = b""

    def expect(self, *pairs: Pair) -> None:
        self.left += pairs

    def write(self, data: bytes) -> None:
        self._in += data
        while self.left:
            sent, answered = self.left[0]
            expected = sent if isinstance(sent, bytes) else sent.encode() + b"\n"
            if len(self._in) < len(expected) and expected.startswith(self._in):
                return  # more of this one is to come
            assert self._in.startswith(expected), (
                f"sent {self._in[:80]!r}, expected {expected[:80]!r}"
            )
            self._in = self._in[len(expected) :]
            self.left.pop(0)
            if answered is not None:
                self._answers.append(
                    answered if isinstance(answered, bytes) else answered.encode() + b"\n"
                )
            if not self._in:
                return
        assert not self._in, f"sent {self._in[:80]!r}, and nothing was expected any more"

    def read(self, timeout_s: float) -> bytes:
        return self._answers.pop(0) if self._answers else b""


@contextmanager
def conversation(*pairs: Pair) -> Iterator[Conversation]:
    """Reach it as ``loop:wire``; all pairs must have been used in the end."""
    peer = Conversation(list(pairs))
    loop.register("wire", peer)
    yield peer
    loop.unregister("wire")
    assert peer.left == [], f"never sent: {peer.left[:3]}"
