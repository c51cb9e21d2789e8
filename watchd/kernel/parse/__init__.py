"""Parsers of the kernel's files. Pure: bytes in, values out."""
