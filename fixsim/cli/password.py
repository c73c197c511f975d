"""`fixsim password`: the argon2 hash that goes into the configuration."""

import getpass
import sys

from fixsim.errors import UsageError


def password() -> None:
    """Hash a password for `password_hash` in the configuration; it is asked for, or read from stdin."""
    from fixsim.gateway.credentials import hash_password

    if sys.stdin.isatty():
        clear = getpass.getpass("password: ")
        if clear != getpass.getpass("again: "):
            raise UsageError("the two passwords differ")
    else:
        clear = sys.stdin.readline().rstrip("\r\n")
    if not clear:
        raise UsageError("the password is empty")
    print(hash_password(clear.encode()))
