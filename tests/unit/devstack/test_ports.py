"""Ports that are taken."""

import os
import socket

import pytest

from libs.devstack import ports
from libs.devstack.errors import DevstackError
from libs.devstack.postgres import free_port


def test_a_taken_port_is_named_with_its_purpose_its_holder_and_the_way_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        with pytest.raises(DevstackError) as caught:
            ports.require_free({port: "petition", free_port(): "aggregator"})
    message = str(caught.value)
    assert f"port {port} (petition) is taken by process {os.getpid()}" in message
    assert "TALLY_PORT_BASE" in message
    assert "aggregator" not in message


def test_free_ports_are_no_problem() -> None:
    ports.require_free({free_port(): "petition"})
