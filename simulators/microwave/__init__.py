"""Microwaves: coupled dipoles and a programmable metasurface."""
