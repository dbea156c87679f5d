"""Acoustic cavities: a modal model and a grid of finite differences."""
