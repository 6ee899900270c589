"""Lets ``python3 -m todo`` run the program."""

import sys

from todo.cli import main

sys.exit(main())
