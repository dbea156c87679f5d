"""VISA: pyvisa with its Python back end (``@py``) or a vendor's."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

from devices.errors import LinkDown, ReplyTimeout, ShortTransfer
from devices.extras import require
from devices.transports.link import Link
from devices.transports.socket_link import SocketLink

__all__ = ["VisaLink", "visa_resources"]

_PIECE = 2**16
# One resource manager per back end, for the whole process, and never closed: closing one
# invalidates the sessions of all.
_managers: dict[str, Any] = {}


def _manager(backend: str) -> Any:
    if backend not in _managers:
        pyvisa = require("pyvisa", "visa")
        if backend == "@py":
            require("pyvisa_py", "visa")
        _managers[backend] = pyvisa.ResourceManager(backend)
    return _managers[backend]


def visa_resources(backend: str = "@py") -> tuple[str, ...]:
    """Return the resource names that the back end finds.

    Raises
    ------
    MissingExtraError
        If pyvisa is not installed.
    """
    return tuple(_manager(backend).list_resources("?*"))


class VisaLink(Link):
    """A VISA resource, such as ``TCPIP::192.168.1.5::5025::SOCKET`` or ``USB0::...::INSTR``.

    Where the back end is pyvisa-py and the resource a socket, that socket is used directly: it
    then has limits on the time of writes too, tells a closed connection from silence, and reads
    large blocks in one go. Everything else goes through VISA's own calls, without pyvisa's
    chunked reading, which a termination inside a block would split.

    Parameters
    ----------
    address : str
        The resource name.
    backend : str
        ``@py`` for pyvisa-py, ``@ivi`` for the vendor's VISA, or the path of its library.
    direct : bool
        False keeps to VISA's calls for sockets of pyvisa-py as well.
    open_timeout_s : float
        Longest time to connect.
    """

    def __init__(
        self,
        address: str,
        *,
        backend: str = "@py",
        direct: bool = True,
        open_timeout_s: float = 5.0,
    ) -> None:
        super().__init__(address)
        self._backend, self._want_direct = backend, direct
        self._open_timeout_s = open_timeout_s
        self._resource: Any = None
        self._socket: SocketLink | None = None
        self._end: bytes | None = b""  # the termination now set; None for none

    def open(self) -> None:  # noqa: D102
        manager = _manager(self._backend)
        try:
            self._resource = manager.open_resource(
                self.address, open_timeout=round(1000 * self._open_timeout_s)
            )
        except Exception as error:  # back ends raise bare Exception, OSError, VisaIOError ...
            raise LinkDown(
                f"{self.address} cannot be opened: {type(error).__name__}: {error}"
            ) from error
        self._end = b""
        # Reading exactly as many bytes as asked for is what is wanted here, not worth a warning.
        full = require("pyvisa", "visa").constants.StatusCode.success_max_count_read
        self._resource.visalib.issue_warning_on.discard(full)
        plain = self._plain_socket()
        self._set_nodelay(plain)
        if plain is not None and self._want_direct:
            self._socket = SocketLink(self.address, 0)
            self._socket.address = self.address
            self._socket.adopt(plain)

    def close(self) -> None:  # noqa: D102
        self._socket = None
        resource, self._resource = self._resource, None
        if resource is not None:
            try:
                resource.close()
            except Exception:  # a dead session cannot be closed; there is nothing left to lose
                return

    def write(self, data: bytes, timeout_s: float, until: float) -> None:  # noqa: D102
        if self._socket is not None:
            self._socket.write(data, timeout_s, until)
            return
        self._limit(timeout_s, until)
        self._call(lambda r: r.visalib.write(r.session, data))

    def read_line(self, end: bytes, timeout_s: float, until: float) -> bytes:  # noqa: D102
        if self._socket is not None:
            return self._socket.read_line(end, timeout_s, until)
        self._terminate(end)
        line = b""
        while True:
            self._limit(timeout_s, until)
            data, status = self._call(lambda r: r.visalib.read(r.session, _PIECE))
            line += bytes(data)
            # 0 is the END of message-based buses: the line is over whatever its last byte.
            if line.endswith(end) or int(status) == 0:
                return line

    def read_exact(self, count: int, timeout_s: float, until: float) -> bytearray:  # noqa: D102
        if self._socket is not None:
            return self._socket.read_exact(count, timeout_s, until)
        self._terminate(None)
        data = bytearray()
        while len(data) < count:
            self._limit(timeout_s, until)
            want = min(_PIECE, count - len(data))
            try:
                piece, _ = self._call(lambda r, want=want: r.visalib.read(r.session, want))
            except ReplyTimeout as error:
                if not data:
                    raise
                raise ShortTransfer(
                    f"{self.address}: {len(data)} of {count} bytes came, then nothing more"
                ) from error
            data += bytes(piece)
        return data

    def waiting(self) -> bool:  # noqa: D102
        if self._socket is not None:
            return self._socket.waiting()
        if not self.address.upper().endswith("SOCKET"):
            return False  # message buses keep answers apart; reading unasked is an error there
        self._terminate(None)
        self._resource.timeout = 1  # in ms; VISA has no portable way to ask but to read
        try:
            self._call(lambda r: r.visalib.read(r.session, 1))
        except ReplyTimeout:
            return False
        return True  # what was read was stale: the link is drained next anyway

    def drain(self, quiet_s: float, until: float) -> int:  # noqa: D102
        if self._socket is not None:
            return self._socket.drain(quiet_s, until)
        with suppress(LinkDown, ReplyTimeout):  # not all can be cleared; the echo shows it
            self._call(lambda r: r.clear())
        thrown = 0
        self._terminate(None)
        while time.monotonic() < until:
            self._limit(quiet_s, until)
            try:
                piece, _ = self._call(lambda r: r.visalib.read(r.session, 1))
            except ReplyTimeout:
                break
            thrown += len(piece)
        return thrown

    # -- small parts ---------------------------------------------------------------------------

    def _call(self, what: Any) -> Any:
        if self._resource is None:
            raise LinkDown(f"{self.address} is not connected")
        visa = require("pyvisa", "visa")
        try:
            return what(self._resource)
        except visa.errors.VisaIOError as error:
            timeout = visa.constants.StatusCode.error_timeout
            if error.error_code == timeout and not self._gone():
                raise ReplyTimeout(f"{self.address}: no (complete) reply in time") from error
            raise LinkDown(f"{self.address}: {error}") from error
        except (OSError, visa.errors.InvalidSession, AttributeError) as error:
            raise LinkDown(f"{self.address}: {type(error).__name__}: {error}") from error

    def _limit(self, timeout_s: float, until: float) -> None:
        left = min(timeout_s, until - time.monotonic())
        if left <= 0:
            raise ReplyTimeout(f"{self.address}: no (complete) reply, its deadline is over")
        if self._resource is not None:
            self._resource.timeout = max(1, round(1000 * left))

    def _terminate(self, end: bytes | None) -> None:
        if end == self._end or self._resource is None:
            return
        attribute = require("pyvisa", "visa").constants.ResourceAttribute
        if end is not None:
            self._resource.set_visa_attribute(attribute.termchar, end[-1])
        self._resource.set_visa_attribute(attribute.termchar_enabled, end is not None)
        self._end = end

    def _set_nodelay(self, plain: socket.socket | None) -> None:
        if plain is not None:  # pyvisa-py takes the attribute below and does nothing
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return
        attribute = require("pyvisa", "visa").constants.ResourceAttribute
        try:
            self._resource.set_visa_attribute(attribute.tcpip_nodelay, True)
        except Exception:  # GPIB and USB have no such attribute; VISA says so in many ways
            return

    def _plain_socket(self) -> socket.socket | None:
        """Return the socket under pyvisa-py's session, where there is one."""
        sessions = getattr(self._resource.visalib, "sessions", {})
        found = getattr(sessions.get(self._resource.session), "interface", None)
        return found if isinstance(found, socket.socket) else None

    def _gone(self) -> bool:
        """Return whether silence is that of a closed connection; as far as it can be told."""
        plain = self._plain_socket() if self._resource is not None else None
        if plain is None:
            return False
        try:
            plain.setblocking(False)
            return plain.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            plain.setblocking(True)
