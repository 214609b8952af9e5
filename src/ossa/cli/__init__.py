"""The command line's frame: one group whose commands are imported when they are called.

Exit codes: 0 all done; 1 done, but some of the given files had to be skipped; 2 nothing was done,
because of what was given (a wrong option, a bad file, a setting, a folder that cannot be
written); 3 a defect in ossa; 130 interrupted (Ctrl-C, SIGTERM, a closed terminal).
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import click

from ossa.errors import OssaError

EXIT_SKIPPED = 1
EXIT_REFUSED = 2
EXIT_DEFECT = 3
EXIT_INTERRUPTED = 130

#: Command name -> (module of ossa.cli that holds it as ``command``, one line for ``ossa --help``).
#: A new command is one file beside this one and one line here.
COMMANDS: dict[str, tuple[str, str]] = {
    "predict": ("predict", "Find the bones in radiographs: outlines, overlays, run lengths."),
    "measure": ("measure", "Measure bones and hands: lengths, angles, indices, with uncertainties."),
    "evaluate": ("evaluate", "Compare predictions with the truth, bone by bone."),
    "calibrate": ("calibrate", "Fit thresholds and clean-up on out-of-fold predictions."),
    "report": ("report", "Make a page about a hand: bones, numbers, warnings; as a PDF too."),
    "explain": ("explain", "Show where the network looked to find a bone."),
    "gallery": ("gallery", "Make a page to look at data sets and predictions."),
    "info": ("info", "Say what an image, a model or a data set is."),
    "ensemble": ("ensemble", "Several models or results as one: means, votes, weights per bone."),
    "bundle": ("bundle", "Export a model: ONNX, 8-bit, OpenVINO, with a table of parity."),
    "export": ("export", "Results as DICOM: segmentations, reports, pictures; send them to an archive."),
    "serve": ("serve", "Serve bones over HTTP: predictions, batch jobs, OpenAPI."),
    "node": ("node", "A DICOM node: radiographs come in, segmentations and reports go back."),
    "studio": ("studio", "Browse, correct and retrain on a page of this machine."),
    "prepare": ("prepare", "Work on radiographs before training: super-resolution."),
    "train": ("train", "Train networks: folds, exact resume, fine-tuning, pseudo-labels."),
    "config": ("config", "Check, show and explain run files; list the recipes."),
    "data": ("data", "Look at a data set: summary, audit, folds, contact sheet, conversion."),
    "phantom": ("phantom", "Make synthetic radiographs with perfect truth."),
}


class _Failure(click.ClickException):
    """An OssaError as one clean line on standard error."""

    exit_code = EXIT_REFUSED


class _Defect(click.ClickException):
    """An error that ossa did not foresee."""

    exit_code = EXIT_DEFECT


class LazyGroup(click.Group):
    """Lists its commands from the table and imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"ossa.cli.{COMMANDS[cmd_name][0]}").command
        if not any(option.name == "debug" for option in command.params):
            command.params.append(_debug_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when a name is misspelt."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " 'ossa --help' lists the commands."
            raise click.UsageError(f"No command is called '{args[0]}'.{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run; every foreseen error becomes one line and an exit code, no traceback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output is gone (``ossa info x | head -1``). Point stdout at
            # nothing, so that the interpreter's last flush does not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OssaError as error:
            _show_traceback(ctx)
            raise _Failure(str(error)) from error
        except OSError as error:
            _show_traceback(ctx)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise _defect(error) from error
            where = f"{error.filename}: " if error.filename else ""
            raise _Failure(
                f"{where}the disk is full. Free some space and give the same command again, or write to another disk. "
                "What was written whole is kept."
            ) from error
        except MemoryError as error:
            _show_traceback(ctx)
            raise _Failure("Not enough memory. Give smaller images, or fewer at once.") from error
        except Exception as error:
            _show_traceback(ctx)
            raise _defect(error) from error


def _defect(error: Exception) -> _Defect:
    return _Defect(
        f"{type(error).__name__}: {error}. This is a defect in ossa: run again with --debug and report what it shows."
    )


def _show_traceback(ctx: click.Context) -> None:
    """Print the current traceback when --debug was given."""
    if ctx.meta.get("ossa.debug") or os.environ.get("OSSA_DEBUG"):
        import traceback

        click.echo(traceback.format_exc(), err=True)


def _remember_debug(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta["ossa.debug"] = True


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=_remember_debug, help="Show the traceback of an error."
    )


def _show_version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        from ossa import __version__

        click.echo(f"ossa {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 done but some files were skipped, 2 refused (the message says why), 130 interrupted. "
    "For research; not a medical device.",
    params=[_debug_option()],
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version."
)
def cli() -> None:
    """Find the bones of the hand and wrist in X-rays."""


def _end_in_order() -> None:
    """SIGTERM and SIGHUP (the terminal is closed) end a command as Ctrl-C does: what is finished is written down.

    Where a signal is ignored already (nohup), it stays so.
    """
    import signal

    terminals = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr) if stream and stream.isatty()]

    def end(number: int, _frame: object) -> NoReturn:
        if number != signal.SIGTERM:  # a terminal that is gone: whoever writes to it would fail, and write nothing else
            nothing = os.open(os.devnull, os.O_RDWR)
            for handle in terminals:
                os.dup2(nothing, handle)
            os.close(nothing)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


def main() -> NoReturn:
    """The ``ossa`` program."""
    _end_in_order()
    cli.main(prog_name="ossa")
    raise AssertionError("click's main always exits")
