"""What makes the mutations needs cosmic-ray, which only `make mutation` installs: the tests here are of the record that it leaves."""

collect_ignore = ["mutations.py", "run.py"]
