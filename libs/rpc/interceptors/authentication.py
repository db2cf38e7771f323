"""Who calls, and whether they may."""

from typing import Literal

from libs.rpc.method import Method, StreamHandler, UnaryHandler


class Authentication:
    """Lets every caller the network lets through call everything.

    That is safe only because the server refuses to bind to anything but loopback in the mode `none`, and because
    `trusted-network` is a decision somebody made (`ServerSettings.check_binding`). Callers' identities and the rights
    of each method take their place here.
    """

    def __init__(self, mode: Literal["none", "trusted-network"]) -> None:
        self._mode = mode

    def unary(self, method: Method, handler: UnaryHandler) -> UnaryHandler:
        return handler

    def stream(self, method: Method, handler: StreamHandler) -> StreamHandler:
        return handler
