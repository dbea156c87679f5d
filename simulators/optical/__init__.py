"""Optics: scattering media, fibres, free space, meshes; modulators and cameras."""
