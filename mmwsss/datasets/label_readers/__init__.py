"""Readers of image-level labels, one module a kind of source."""
