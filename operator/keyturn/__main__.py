"""`keyturn`, and `python -m keyturn`."""

from keyturn.cli.root import main

if __name__ == "__main__":
    main()
