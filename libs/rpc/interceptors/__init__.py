"""The server chain: one concern a file, composed once a method when the server is built."""

from collections.abc import Sequence

from libs.rpc.interceptors.authentication import Authentication
from libs.rpc.interceptors.deadline import Deadline
from libs.rpc.interceptors.draining import Draining
from libs.rpc.interceptors.error_mapping import ErrorMapping
from libs.rpc.interceptors.observation import Observation
from libs.rpc.interceptors.tracing import Tracing, configured_provider
from libs.rpc.interceptors.validation import Validation
from libs.rpc.method import Interceptor
from libs.rpc.settings import ServerSettings
from libs.telemetry.calls import Calls
from libs.telemetry.traces import exporter_configured


def chain(settings: ServerSettings, calls: Calls, draining: Draining) -> Sequence[Interceptor]:
    """The interceptors of a server, outermost first. Limits will stand between authentication and validation."""
    return (
        Tracing(settings.trace_ratio, configured_provider(exporter_configured())),
        Observation(calls),
        ErrorMapping(),
        Deadline(settings.default_deadline_seconds, settings.deadline_margin_seconds),
        draining,
        Authentication(settings.authentication),
        Validation(),
    )
