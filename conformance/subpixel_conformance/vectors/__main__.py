"""``python -m subpixel_conformance.vectors`` makes, checks and publishes golden vectors."""

from .command import main

if __name__ == "__main__":
    raise SystemExit(main())
