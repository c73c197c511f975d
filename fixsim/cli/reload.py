"""`fixsim reload`: have the running exchange read its configuration file again."""

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json


def reload(why: Why = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Read the configuration file again: all of it is taken, or nothing. Prints what changed."""
    answer = ask(data_dir, "reload", why)
    if json:
        print_json(answer)
        return
    for change in answer["changes"] or ["nothing has changed"]:
        print(change)
