"""The door to the command line, small enough that Ctrl-C is answered while the rest is imported."""

import sys


def main() -> int:
    """Run a command and return its exit status."""
    try:
        from colonnade.cli import main as cli

        return cli.main()
    except KeyboardInterrupt:
        print("colonnade: Stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
