"""``python -m pnn`` is the command ``pnn``."""

from pnn.cli import main

if __name__ == "__main__":
    main()
