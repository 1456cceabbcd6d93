"""``fastrestore backends``: what can run here."""

import argparse

from fastrestore import show_backends


def run(args: argparse.Namespace) -> None:
    """Print the table of backends."""
    show_backends()
