"""Answer with vLLM's own `LLM` what standard input holds as JSON; in the environment that a service would have.

    /usr/bin/python3 -I infer.py <task.json

The variables are those of `serve.py`. This part, of the standard library, makes of them the server's command and
environment, and hands both on to `infer_run.py` in vLLM's environment.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.templates import serve_config as config
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out; the directory is root's
    import serve_config as config

ENGINE = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""The engine in this process, unless told otherwise: it starts sooner, and a kill leaves no other one behind."""


def main() -> None:
    """Become `infer_run.py`."""
    try:
        python, _, _, *arguments = config.read(os.environ).command
    except config.ConfigurationError as error:
        sys.exit(str(error))
    environment = {**ENGINE, **config.environment(os.environ, "")}
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "infer_run.py")
    os.execve(python, [python, program, *arguments], environment)


if __name__ == "__main__":
    main()
