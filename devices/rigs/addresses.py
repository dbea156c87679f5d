"""One spelling for each address, so that two spellings of one instrument are seen to be one."""

from __future__ import annotations

import os
import re

__all__ = ["canonical_address"]

# Kinds of VISA resources whose name may end with the number of an interface, 0 where it has none.
_NUMBERED = re.compile(r"(TCPIP|USB|GPIB|VXI|PXI|FIREWIRE)(\d*)")
_ASRL_PATH = re.compile(r"(?i)ASRL(/.+?)(::INSTR)?")


def canonical_address(address: str) -> str:
    """Return the spelling by which addresses are compared; what it names is not looked for.

    Case and the number of the default interface do not matter, nor do settings behind a ``?``;
    links in the file system are followed (``/dev/serial/by-id/...``); a socket is the same by
    VISA and by pyserial.

    Examples
    --------
    >>> canonical_address("TCPIP0::Scope::5025::socket")
    'socket://scope:5025'
    >>> canonical_address("GPIB::4::INSTR"), canonical_address("serial://com3?baud=9600")
    ('GPIB0::4', 'serial://COM3')
    """
    if address.startswith("loop:"):  # a name in this process
        return address
    if path := _ASRL_PATH.fullmatch(address):
        address = f"serial://{path[1]}"
    if address.startswith("serial://"):
        port = address.removeprefix("serial://").partition("?")[0]
        return "serial://" + (os.path.realpath(port) if port.startswith("/") else port.upper())
    if address.startswith("socket://"):
        return address.partition("?")[0].rstrip("/").lower()
    parts = address.upper().split("::")
    if found := _NUMBERED.fullmatch(parts[0]):
        parts[0] = f"{found[1]}{int(found[2] or 0)}"
        if found[1] == "TCPIP" and len(parts) == 4 and parts[-1] == "SOCKET":
            return f"socket://{parts[1]}:{parts[2]}".lower()
    if parts[-1] == "INSTR":  # what VISA takes where nothing is said
        del parts[-1]
    if parts[2:] == ["INST0"] or (parts[0].startswith("USB") and parts[4:] == ["0"]):
        del parts[-1]
    return "::".join(parts)
