"""Drivers of instruments, in roles (`devices.roles`); each is imported where it is used."""
