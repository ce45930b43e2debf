"""`python -m explorer`: the same program as `explore`."""

from explorer.cli import main

if __name__ == "__main__":
    main()
