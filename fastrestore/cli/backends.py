"""``fastrestore backends``: list the backends."""

import argparse

import fastrestore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments."""


def run(args: argparse.Namespace) -> None:
    """Print the table of backends."""
    fastrestore.show_backends()
