"""The ``chainrule`` command: ``python -m chainrule`` and the console script."""

import signal
import sys

from chainrule import _native


def main():
    """Runs the command on this process's arguments and exits with its status."""
    # The command has its own way with Ctrl-C and with a reader that has had enough.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.command(["chainrule", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
