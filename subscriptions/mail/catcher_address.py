"""Where the local mail catcher listens: it writes its port into VAR_DIR when it starts."""

import json
from pathlib import Path


class NoMailCatcher(OSError):
    pass


def port_file(var_dir: Path) -> Path:
    return var_dir / "run" / "catcher.json"


def smtp_url(var_dir: Path) -> str:
    """`smtp://127.0.0.1:PORT`. Raises NoMailCatcher when none has been started."""
    try:
        port = int(json.loads(port_file(var_dir).read_text())["port"])
    except (OSError, ValueError, KeyError) as error:
        raise NoMailCatcher(
            f"No mail server: EMAIL_URL is not set and no mail catcher runs in {var_dir}. "
            "Set EMAIL_URL, or start the catcher with `make run`."
        ) from error
    return f"smtp://127.0.0.1:{port}"
