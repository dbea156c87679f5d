"""Transports: conversations with instruments over VISA, serial lines, or in this process.

Addresses are ``TCPIP::192.168.1.5::5025::SOCKET`` and every other VISA resource name,
``serial:///dev/ttyACM0?baud=115200`` (``serial://COM3``), ``socket://host:port``, ``loop:NAME``.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl

from devices.transports.base import Transport
from devices.transports.connection import Traffic
from devices.transports.link import Link
from devices.transports.settings import LinkSettings

__all__ = ["Link", "LinkSettings", "Traffic", "Transport", "make_transport", "open_transport"]

_OF_SERIAL = {"baud": int, "exclusive": None, "start_s": float}
_OF_VISA = ("backend", "direct", "open_timeout_s")


def make_transport(address: str, **settings: Any) -> Transport:
    r"""Make the transport for an address, without opening it.

    Parameters
    ----------
    address : str
        See the module.
    **settings
        Fields of `LinkSettings`; for serial lines ``baud``, ``exclusive``, ``start_s``; for VISA
        ``backend`` (``"@py"``, ``"@ivi"``), ``direct``, ``open_timeout_s``.

    Raises
    ------
    ValueError
        If the address has no form that is known, or a setting is unknown for it.
    """
    known = {field.name for field in fields(LinkSettings)}
    own = {key: settings.pop(key) for key in list(settings) if key not in known}
    link = _link(address, own)
    return Transport(link, LinkSettings(**settings))


def open_transport(address: str, **settings: Any) -> Transport:
    """Make the transport for an address and open it; use it in a ``with`` statement.

    Raises
    ------
    LinkDown
        If nobody answers.
    DeviceError
        If another instrument than expected (``idn``) answers.
    """
    return make_transport(address, **settings).open()


def _link(address: str, options: dict[str, Any]) -> Link:
    if not isinstance(address, str) or not address:
        raise ValueError(f"address={address!r} must be a text such as 'TCPIP::host::5025::SOCKET'")
    if address.startswith("loop:"):
        from devices.transports.loop import LoopLink

        _refuse_unknown(address, options, ())
        return LoopLink(address.removeprefix("loop:"))
    if address.startswith(("serial://", "socket://")):
        from devices.transports.serial_port import SerialLink

        port, _, query = address.removeprefix("serial://").partition("?")
        options = dict(parse_qsl(query, strict_parsing=bool(query))) | options
        _refuse_unknown(address, options, tuple(_OF_SERIAL))
        for key, kind in _OF_SERIAL.items():
            if key in options and kind is not None:
                options[key] = kind(options[key])
        return SerialLink(port, **options)
    if "::" not in address:
        raise ValueError(
            f"address={address!r} is none of TCPIP::host::port::SOCKET (or another VISA name), "
            "serial:///dev/ttyX?baud=115200, socket://host:port, loop:NAME"
        )
    from devices.transports.visa import VisaLink

    _refuse_unknown(address, options, _OF_VISA)
    return VisaLink(address, **options)


def _refuse_unknown(address: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    if unknown := [key for key in options if key not in known]:
        every = (*known, *(field.name for field in fields(LinkSettings)))
        raise ValueError(
            f"{address}: unknown setting {', '.join(unknown)}; there are {', '.join(every)}"
        )
