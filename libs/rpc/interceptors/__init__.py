"""The server chain: one concern a file, composed once a method when the server is built."""

from collections.abc import Sequence

from libs.rpc.interceptors.deadline import Deadline
from libs.rpc.interceptors.error_mapping import ErrorMapping
from libs.rpc.interceptors.observation import Observation
from libs.rpc.interceptors.validation import Validation
from libs.rpc.method import Interceptor
from libs.rpc.settings import ServerSettings
from libs.telemetry.calls import Calls


def chain(settings: ServerSettings, calls: Calls) -> Sequence[Interceptor]:
    """The interceptors of a server, outermost first.

    Limits take their place between authorisation and validation when they come.
    """
    return (
        Observation(calls),
        ErrorMapping(),
        Deadline(settings.default_deadline_seconds, settings.deadline_margin_seconds),
        Validation(),
    )
