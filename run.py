#!/usr/bin/env python3
"""Set up and start Hearth: `python3 run.py --help`.

This file must parse on any Python, so that an old one is told what to do instead of showing a traceback.
The work is done in packaging/bootstrap, standard library only.
"""

import os
import sys

OLDEST = (3, 11)


def main():
    # type: () -> int
    if sys.version_info < OLDEST:
        sys.stderr.write(
            "Hearth needs Python %d.%d or newer, and this is %d.%d (%s). "
            "Install a newer one and start it with that, for example: python3.12 run.py\n"
            % (OLDEST[0], OLDEST[1], sys.version_info[0], sys.version_info[1], sys.executable)
        )
        return 2
    root = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [os.path.join(root, "packaging")]
    from bootstrap import command

    return command.main(sys.argv[1:], root)


if __name__ == "__main__":
    sys.exit(main())
