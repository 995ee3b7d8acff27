"""The command line: `guardrail`."""

from __future__ import annotations

import sys

from guardrail.cli.app import app
from guardrail.cli.output import STATUS_ERROR, STATUS_INTERRUPTED, Interrupted, complain
from guardrail.errors import GuardrailError


def main() -> None:
    """Run the command line. An error is one sentence on standard error, never a traceback."""
    try:
        app()
    except GuardrailError as error:
        complain(str(error))
        sys.exit(STATUS_ERROR)
    except (Interrupted, KeyboardInterrupt) as stop:
        left = ""
        if isinstance(stop, Interrupted) and stop.command == "index":
            left = (
                "; the index is whole, as it was before or, right at the end, as it was to be: "
                "run the same command again (a build or an addition goes on where it stopped)"
            )
        complain(f"interrupted{left}")
        sys.exit(STATUS_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone; what it read was right.
        sys.stderr.close()
        sys.exit(STATUS_ERROR)
    except MemoryError:
        complain("out of memory; check smaller texts, or build with fewer --jobs")
        sys.exit(STATUS_ERROR)
    except Exception as error:
        # The message of an unforeseen error may quote private text; its type and place do not.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
        complain(f"internal error, {type(error).__name__} at {place}; please report it")
        sys.exit(STATUS_ERROR)
