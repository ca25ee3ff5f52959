"""``python -m subpixel_conformance`` is the command ``subpixel``."""

from subpixel_conformance.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
