"""`python -m node` is `xyd`."""

from node.cli import main

if __name__ == "__main__":
    main()
